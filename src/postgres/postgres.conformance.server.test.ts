import { afterAll, beforeAll, describe, it } from 'vitest'
import { conformanceCases, type Ground, runCase, verdictOf } from '../engine/conformance/index.ts'
import type { Engine } from '../engine/index.ts'
import { type PostgresSource, postgres } from './index.ts'
import { dropSchema, serversWanted, serverUrl } from './real-server.test-support.ts'

/** To repeat a case that chose at random and failed: its error names the seed. */
const seed = process.env['MILLRACE_CONFORMANCE_SEED']
const schema = `conformance_${process.pid}`

/** All cases share one schema: one that only passes in an empty store, or an engine that only works in one, is found out. */
function lastingGroundOn(source: () => PostgresSource): Ground {
  let kept: Engine | undefined
  return {
    ...(seed === undefined ? {} : { seed: Number(seed) }),
    open: async () => {
      const isOpen = await kept?.timers.nextDueMs('anybody').then(
        () => true,
        () => false,
      )
      if (isOpen === true && kept !== undefined) return kept
      // A case that failed may have left it closing.
      await kept?.close()
      kept = await source().open()
      return kept
    },
    release: async () => {},
  }
}

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('the PostgreSQL engine on a real server', () => {
  let url = ''
  beforeAll(async () => {
    url = await serverUrl()
  }, 600_000)
  // Looking often costs a test server nothing and makes cases that wait for others short.
  const ground = lastingGroundOn(() => postgres({ connection: url, schema, pollMs: 20 }))
  afterAll(async () => {
    await (await ground.open()).close()
    await dropSchema(url, schema)
  })

  const { capabilities } = postgres({ connection: 'postgres://nobody@localhost/nothing' })
  for (const one of conformanceCases) {
    const { name } = one
    const verdict = verdictOf(one, { capabilities, movesTime: false })
    it(`${name}`, async (context) => {
      if (verdict !== true) context.skip(verdict)
      await runCase(one, ground)
    }, 30_000)
  }
})
