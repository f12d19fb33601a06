import { join } from 'node:path'
import { defineConfig, type ViteUserConfig } from 'vitest/config'
import { LongFilesFirst } from './scripts/test-order.ts'

const config: ViteUserConfig = defineConfig({
  test: {
    include: ['{src,scripts,examples,bench,simulation,torture}/**/*.test.ts'],
    exclude: ['**/node_modules/**', 'scripts/fixtures/**', '**/dist/**'],
    passWithNoTests: false,
    // Processes, not threads: tests kill child processes, change the working directory and open worker threads of
    // their own, and a crash of native code must take down one test file only.
    pool: 'forks',
    // Files come one after the other in the same processes: a process and its imports of its own cost each of them more than
    // half a second of a core. A test takes back what it changes in its process; modules are fresh for each file. Those on real
    // servers are few and long, and what a server that was killed leaves open stays in the process of its file.
    isolate: process.env['MILLRACE_REAL_SERVERS'] === '1',
    setupFiles: ['scripts/fresh-modules.ts'],
    // However vitest was started: threads that strip types again and again meet a fault of V8 now and then.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, '.cache', 'node') },
    // One more than two cores: many tests wait for other processes, which leaves an eighth of the machine idle with two.
    maxWorkers: 3,
    // Crash tests start and kill real processes; on a small, busy machine that takes its time.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Only a failing test ever waits that long; one second is short beside others that keep the machine busy.
    expect: { poll: { timeout: 30_000 } },
    // A test must not lean on what an earlier one left behind.
    sequence: { shuffle: { files: false, tests: false }, sequencer: LongFilesFirst },
    restoreMocks: true,
    unstubEnvs: true,
    unstubGlobals: true,
    // Faults of the sources themselves are for `npm run types` to tell.
    typecheck: {
      enabled: true,
      include: ['src/**/*.test-d.ts'],
      tsconfig: './tsconfig.type-tests.json',
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
