import { afterAll, beforeAll, describe, it } from 'vitest'
import { conformanceCases, type Ground, runCase, verdictOf } from '../engine/conformance/index.ts'
import { postgres } from './index.ts'
import { PushedClock } from './pushed-clock.test-support.ts'
import { dropSchema, serversWanted, serverUrl } from './real-server.test-support.ts'

/** What goes by the server's clock, which nobody can push. */
const serversTime: Readonly<Record<string, string>> = {
  'event reading: from a time': 'the time of an event is the one at which the server stored it',
}

const schema = `pushed_${process.pid}`

// Skipped because these need a server, which only a run that asks for servers starts.
describe.skipIf(!serversWanted)('the PostgreSQL engine, while its own time is pushed forward', () => {
  let url = ''
  beforeAll(async () => {
    url = await serverUrl()
  }, 600_000)
  afterAll(() => dropSchema(url, schema))

  const { capabilities } = postgres({ connection: 'postgres://nobody@localhost/nothing' })
  for (const one of conformanceCases) {
    // Those that need no movable time run elsewhere.
    if (verdictOf(one, { capabilities, movesTime: false }) === true) continue
    const verdict = serversTime[one.name] ?? verdictOf(one, { capabilities, movesTime: true })
    it(`${one.name}`, async (context) => {
      if (verdict !== true) context.skip(verdict)
      const clock = new PushedClock()
      const ground: Ground = {
        clock,
        open: () => postgres({ connection: url, schema, pollMs: 20, maintenanceIntervalMs: 0 }).open({ clock }),
      }
      await runCase(one, ground)
    }, 30_000)
  }
})
