import { relative } from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/**
 * Files that take ten seconds and more, the longest first. Vitest by itself begins with what took longest the last time;
 * where there was none, as in CI, a file of a minute may come last, and one core waits for the other. Those whose processes
 * are all killed come behind one whose processes end: only these leave what Node.js compiled to later ones.
 */
export const longFiles: readonly string[] = [
  'examples/shop/main.test.ts',
  'simulation/simulation.test.ts',
  'examples/shop/main.crash.test.ts',
  'src/embedded/embedded.crash.test.ts',
  'src/embedded/embedded.conformance.test.ts',
  'src/cli/shells.test.ts',
  'src/app/rebuild-crash.test.ts',
  'src/app/crash.test.ts',
  'src/bridge/bridge.conformance.test.ts',
  'src/embedded/read-only.conformance.test.ts',
  'src/app/saga-crash.test.ts',
  'src/app/command-crash.test.ts',
  'src/cli/dev.test.ts',
  'src/embedded/embedded.model.test.ts',
  // On real servers, which is a run of its own.
  'examples/shop/killed-deployments.server.test.ts',
  'src/app/workers.kafka.server.test.ts',
  'src/app/workers.bridged.server.test.ts',
  'examples/shop/deployments.server.test.ts',
  'src/app/workers.postgres.server.test.ts',
  'src/app/features.bridged.server.test.ts',
  'src/app/features.postgres.server.test.ts',
  'src/kafka/kafka.conformance.server.test.ts',
  'src/kafka/kafka.chaos.server.test.ts',
  'src/capture/capture.crash.server.test.ts',
  'src/bridge/bridge.conformance.server.test.ts',
]

/** Where a file comes among {@link longFiles}; behind them all if it is none. */
function placeOf(root: string, { moduleId }: TestSpecification): number {
  const place = longFiles.indexOf(relative(root, moduleId))
  return place < 0 ? longFiles.length : place
}

/** Begins with {@link longFiles}, and goes on in the order of vitest. */
export class LongFilesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const { root } = this.ctx.config
    const sorted = await super.sort(files)
    return sorted.toSorted((a, b) => placeOf(root, a) - placeOf(root, b))
  }
}
