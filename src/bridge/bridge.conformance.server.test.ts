import { afterAll, beforeAll, describe, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import { conformanceCases, type Ground, runCase, verdictOf } from '../engine/conformance/index.ts'
import type { Engine } from '../engine/index.ts'
import { postgres } from '../postgres/index.ts'
import { dropSchema, serversWanted, serverUrl } from '../postgres/real-server.test-support.ts'
import { deployment } from './index.ts'

const schema = `bridge_${process.pid}`

/** Topics in memory, everything else on the server: a case that stops the engine finds new topics beside an old store. */
function groundOn(url: () => string): Ground {
  let kept: Engine | undefined
  return {
    open: async () => {
      const isOpen = await kept?.timers.nextDueMs('anybody').then(
        () => true,
        () => false,
      )
      if (isOpen === true && kept !== undefined) return kept
      await kept?.close()
      const store = postgres({ connection: url(), schema, pollMs: 20 })
      kept = await deployment({ topics: embedded({ path: ':memory:' }), store }).open()
      return kept
    },
    release: async () => {},
  }
}

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('the embedded engine and PostgreSQL as one', () => {
  let url = ''
  beforeAll(async () => {
    url = await serverUrl()
  }, 600_000)
  const ground = groundOn(() => url)
  afterAll(async () => {
    await (await ground.open()).close()
    await dropSchema(url, schema)
  })

  const store = postgres({ connection: 'postgres://nobody@localhost/nothing' })
  const { capabilities } = deployment({ topics: embedded({ path: ':memory:' }), store })
  for (const one of conformanceCases) {
    const verdict = verdictOf(one, { capabilities, movesTime: false })
    it(`${one.name}`, async (context) => {
      if (verdict !== true) context.skip(verdict)
      await runCase(one, ground)
    }, 30_000)
  }
})
