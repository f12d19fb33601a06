import { defineConfig, type ViteUserConfig } from 'vitest/config'

const config: ViteUserConfig = defineConfig({
  test: {
    include: [
      'src/**/*.test.ts',
      'scripts/**/*.test.ts',
      'examples/**/*.test.ts',
      'bench/**/*.test.ts',
      'simulation/**/*.test.ts',
    ],
    exclude: ['**/node_modules/**', 'scripts/fixtures/**', '**/dist/**'],
    passWithNoTests: false,
    // Processes, not threads: tests kill child processes, change the working directory and open worker threads of
    // their own, and a crash of native code must take down one test file only.
    pool: 'forks',
    // One for each of two cores: vitest by itself would leave one of them idle, while many tests wait for other processes.
    maxWorkers: 2,
    // Crash tests start and kill real processes; on a small, busy machine that takes its time.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Only a failing test ever waits that long; one second is short beside others that keep the machine busy.
    expect: { poll: { timeout: 30_000 } },
    // A test must not lean on what an earlier one left behind.
    sequence: { shuffle: { files: false, tests: false } },
    restoreMocks: true,
    unstubEnvs: true,
    unstubGlobals: true,
    // Faults of the sources themselves are for `npm run types` to tell.
    typecheck: {
      enabled: true,
      include: ['src/**/*.test-d.ts'],
      tsconfig: './tsconfig.json',
      ignoreSourceErrors: true,
    },
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      exclude: [
        'src/**/*.test.ts',
        'src/**/*.test-d.ts',
        'src/**/*.bench.ts',
        'src/**/*.test-support.ts',
        'src/**/fixtures/**',
        'src/**/conformance/**',
      ],
      reporter: ['text-summary', 'html'],
    },
  },
})

export default config
