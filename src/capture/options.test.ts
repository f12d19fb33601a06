import { describe, expect, it } from 'vitest'
import type { Engine } from '../engine/index.ts'
import { captureChanges, createCapture, dropCapture } from './index.ts'

const engine = { commit: () => undefined } as unknown as Engine
const place = { connection: 'postgres://nobody@127.0.0.1:1/none', slot: 'shop' }

describe('options of a capture', () => {
  it.each([
    [{ slot: 'Shop' }, 'slot'],
    [{ slot: '' }, 'slot'],
    [{ connection: '' }, 'connection'],
    [{ connection: 7 }, 'connection'],
    [{ connection: { port: 99_999, application_name: 'mine' } }, 'connection.port'],
    [{ connection: { ssl: 'yes' } }, 'connection.ssl'],
    [{ publication: '' }, 'publication'],
    [{ publication: 'x'.repeat(64) }, 'publication'],
    [{ engine: {} }, 'engine'],
    [{ topic: 7 }, 'topic'],
    [{ publish: 7 }, 'publish'],
    [{ publish: () => [], topic: 'orders' }, 'topic'],
    [{ commit: 7 }, 'commit'],
    [{ snapshot: 'yes' }, 'snapshot'],
    [{ heartbeat: '1ms' }, 'heartbeat'],
    [{ heartbeat: '1h' }, 'heartbeat'],
    [{ heartbeat: 'soon' }, 'heartbeat'],
    [{ source: '' }, 'source'],
    [{ tabels: [] }, 'tabels'],
  ])('%j are refused', (bad, option) => {
    expect(() => captureChanges({ ...place, engine, ...bad } as never)).toThrow(
      expect.objectContaining({
        details: expect.objectContaining({ problems: [expect.objectContaining({ option })] }),
      }),
    )
  })

  it('are refused all together', () => {
    expect(() => captureChanges({ slot: '', connection: '' } as never)).toThrow(/connection .*; slot .*; engine /)
  })

  it('name tables in one of two ways', async () => {
    for (const tables of [[], undefined, ['a.b.c'], [''], [{ name: 'a' }], [7]]) {
      await expect(createCapture({ ...place, tables } as never)).rejects.toMatchObject({ code: 'OPTIONS_INVALID' })
    }
    await expect(dropCapture({ slot: 'x' } as never)).rejects.toMatchObject({ code: 'OPTIONS_INVALID' })
  })
})
