import { describe, expect, it } from 'vitest'
import { SeededRandom, VirtualClock } from '../kernel/index.ts'
import { codeOf } from './messages.test-support.ts'
import { resolvePostgresOptions } from './options.ts'
import type { PgModule, PgPool, PgPoolConnection } from './pg-client.ts'
import { Server } from './server.ts'
import { StatementPool } from './statement-pool.ts'

/** A server whose connections are what a test makes of them. */
function poolWith(connect: PgPool['connect'], clock: VirtualClock): StatementPool {
  class Pool implements PgPool {
    connect = connect
    end = async (): Promise<void> => undefined
    on = (): this => this
  }
  const options = resolvePostgresOptions({ connection: 'postgres://nobody@nowhere/nothing' })
  return new StatementPool(new Server({ Pool } as unknown as PgModule, options, clock, new SeededRandom(1)), 8)
}

function connectionWith(query: PgPoolConnection['query']): PgPoolConnection {
  return { query, release: () => undefined } as unknown as PgPoolConnection
}

const statement = { name: 'one', text: 'SELECT 1' }
const answer = connectionWith(async () => ({ rows: [{ one: 1 }], rowCount: 1 }))

describe('connections for many who ask at the same time', () => {
  it('are waited for as long as it takes while none can be made', async () => {
    const clock = new VirtualClock()
    let isThere = false
    // A network that swallows everything: each try to connect takes its 10 seconds.
    const pool = poolWith(async () => {
      if (isThere) return answer
      await new Promise<void>((resolve) => clock.setTimer(resolve, 10_000))
      throw new Error('timeout expired')
    }, clock)
    const asked = Promise.all(Array.from({ length: 100 }, () => pool.query(statement, [])))
    const outcome = asked.then(
      (all) => all.length,
      (error: unknown) => error,
    )
    await clock.advance('20m')
    isThere = true
    await clock.advance('1m')
    expect(await outcome).toBe(100)
  })

  it('are not waited for without end if those who have them do not give them back', async () => {
    const clock = new VirtualClock()
    const pool = poolWith(async () => connectionWith(() => new Promise(() => undefined)), clock)
    for (let n = 0; n < 8; n++) pool.query(statement, []).catch(() => undefined)
    const late = codeOf(pool.query(statement, []))
    await clock.advance('71s')
    expect(await late).toBe('POSTGRES_POOL_EXHAUSTED')
  })
})
