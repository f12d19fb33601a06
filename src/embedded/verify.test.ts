import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { beforeAll, describe, expect, it } from 'vitest'
import { openSnapshot } from './connection.ts'
import { codeOf, commit, message, numbered, openEngine, temporaryFolder } from './file.test-support.ts'
import { fillChecksums } from './store/schema.ts'
import { type Damage, Verification, type VerifyProgress, type VerifyReport } from './verify.ts'
import { verifyFile } from './verify-file.ts'

const folder = temporaryFolder()
const intact = join(folder, 'intact.db')

beforeAll(async () => {
  await using engine = await openEngine(intact)
  await engine.topics.create('orders', { partitions: 2 })
  for (let n = 0; n < 400; n++) {
    await commit(engine, {
      publish: [{ topic: 'orders', partition: n % 2, messages: numbered(3, n) }],
      append: [{ stream: `s${n % 3}`, events: [{ message: message('Happened', n), tags: ['a', `n:${n}`] }] }],
      state: [{ kind: 'set', namespace: 'n', key: String(n), value: n }],
    })
  }
  await commit(engine, { timers: [{ kind: 'schedule', owner: 'o', id: 't', dueMs: 10 ** 13, payload: 1 }] })
  const member = await engine.groups.join({ group: 'g', topics: ['orders'], ...listener })
  await member.leave()
})

const listener = { onAssigned: () => undefined, onRevoked: async () => undefined, onLost: () => undefined }

/** Damages of a copy of the file after somebody did something to it behind the engine's back. */
async function damagesAfter(name: string, harm: (db: DatabaseSync) => void): Promise<readonly Damage[]> {
  const path = join(folder, `${name.replace(/\W/g, '-')}.db`)
  copyFileSync(intact, path)
  const db = new DatabaseSync(path, { enableForeignKeyConstraints: false, defensive: false })
  harm(db)
  db.close()
  await using engine = await openEngine(path)
  return (await engine.verify()).damages
}

const flip = (table: string, where: string, at: number) => (db: DatabaseSync) => {
  const row = db.prepare(`SELECT bytes FROM ${table} WHERE ${where}`).get() as { bytes: Uint8Array }
  row.bytes[at] = (row.bytes[at] as number) ^ 1
  db.prepare(`UPDATE ${table} SET bytes = ? WHERE ${where}`).run(row.bytes)
}

const thirdBatch = 'id = (SELECT id FROM batch WHERE partition_id = 1 ORDER BY base_offset LIMIT 1 OFFSET 2)'

describe('verification', () => {
  it('finds nothing in a file as it was written, and counts it', async () => {
    await using engine = await openEngine(intact, { readOnly: true })
    const seen: VerifyProgress[] = []
    const report = await engine.verify({ onProgress: (progress) => seen.push(progress) })
    expect(report).toEqual({ batchCount: 400, recordCount: 1_200, eventCount: 400, damages: [], isCutShort: false })
    expect(seen.at(-1)).toEqual({ done: 800, total: 800 })
    expect(seen.length).toBeGreaterThan(2)
  })

  it.each([
    ['a flipped byte in a record', flip('batch', thirdBatch, 90), /topic orders, partition 0, offset 6/],
    ['a flipped byte in the head of a batch', flip('batch', thirdBatch, 18), /topic orders, partition 0, offset 6/],
    ['a wrong number of bytes', `UPDATE batch SET byte_count = 7 WHERE ${thirdBatch}`, /offset 6.*7 are noted/],
    ['a wrong last offset', `UPDATE batch SET last_offset = 99 WHERE ${thirdBatch}`, /offset 6.*ends at offset 8/],
    ['a wrong place', `UPDATE batch SET base_offset = 7 WHERE ${thirdBatch}`, /partition 0, offset/],
    ['a batch of no topic', 'UPDATE batch SET partition_id = 77 WHERE partition_id = 2', /partition id 77.*no topic/],
    [
      'a missing batch',
      `DELETE FROM batch WHERE ${thirdBatch}`,
      /partition 0, offset 6 the records up to offset 8 are m/,
    ],
    [
      'a missing last batch',
      (db: DatabaseSync) => {
        db.exec(`DELETE FROM batch WHERE id = (SELECT max(id) FROM batch WHERE partition_id = 1);
          UPDATE partition SET end_floor = 9999`)
        fillChecksums(db, 'partition')
      },
      /partition 0, offset \d+ the records up to offset 9998 are missing/,
    ],
    ['another id', "UPDATE event SET event_id = 'x' WHERE position = 17", /position 17.*noted under another id/],
    [
      'another type',
      "UPDATE event SET type_id = (SELECT id FROM label WHERE name = 'g:n:5') WHERE position = 17",
      /an/,
    ],
    ['a time that falls', 'UPDATE event SET time_ms = 5 WHERE position = 17', /position 17.*before the event before/],
    ['a flipped byte in an event', flip('event', 'position = 17', 80), /event at position 17, stream s1/],
    ['a flipped byte in the offset of an event', flip('event', 'position = 17', 7), /position 17.*other bytes than an/],
    ['a flipped byte in the epoch of an event', flip('event', 'position = 17', 12), /position 17.*other bytes than an/],
    ['a deleted label', "DELETE FROM label WHERE name = 'g:n:5'", /event at position 6,.*2 of its 3 labels/],
    ['a deleted link', 'DELETE FROM event_label WHERE position = 9 AND label_id = 1', /event at position 9.*of its 3/],
    ['a link to nothing', 'INSERT INTO event_label VALUES (1, 9999)', /position 9999/],
    ['an event of no stream', "DELETE FROM stream WHERE name = 's2'", /event at position 3.*no stream/],
    ['tags that cannot be read', "UPDATE event SET tags = '[\"a' WHERE position = 4", /position 4|after 3/],
    ['state of no namespace', 'UPDATE state SET namespace_id = 9', /namespace id 9/],
    ['state that cannot be read', "UPDATE state SET value = '{' WHERE key = '7'", /state n, key 7/],
    ['tags that are no list', "UPDATE event SET tags = '5' WHERE position = 4", /position 4.*no list/],
    ['a missing version', 'UPDATE event SET version = 900 WHERE position = 4', /stream s0 holds 134 .* 1 to 900/],
    ['a timer that cannot be read', "UPDATE timer SET payload = '{'", /timer o, id t is no JSON/],
    ['progress that cannot be read', "UPDATE progress SET done = '['", /group g, topic orders, partition 0 is no JSON/],
    ['progress beyond the end', 'UPDATE progress SET next_offset = 999', /partition 1 is at offset 999, beyond/],
    ['progress on no topic', 'UPDATE progress SET partition_id = partition_id + 50', /group g is on partition id 51/],
    ['settings that cannot be read', "UPDATE topic SET config = '{'", /FILE_DAMAGED|settings of topic orders/],
    [
      'a missing row of an index',
      (db: DatabaseSync) => {
        // The index is hidden from one statement, so that the row it describes goes without it.
        db.exec(`PRAGMA writable_schema = ON;
          UPDATE sqlite_schema SET type = 'hidden' WHERE name = 'batch_by_offset';
          PRAGMA writable_schema = RESET`)
      },
      /pages and indexes|FILE_DAMAGED/,
    ],
  ] as const)('finds %s, and tells where', async (name, harm, place) => {
    const act = typeof harm === 'string' ? (db: DatabaseSync) => db.exec(harm) : harm
    const path = join(folder, `${name.replace(/\W/g, '-')}.db`)
    const damages = await damagesAfter(name, act).catch(async (error: unknown) => {
      // What keeps the file from being opened is told then.
      return [{ place: 'a table', problem: `${String(error)} ${String(await codeOf(openEngine(path)))}` }]
    })
    expect(damages.map(({ place: where, problem }) => `${where} ${problem}`).join('\n')).toMatch(place)
  })

  it('goes on behind tags that cannot be read', async () => {
    const damages = await damagesAfter('two kinds', (db) => {
      db.exec("UPDATE event SET tags = '[' WHERE position = 4")
      flip('event', 'position = 17', 80)(db)
    })
    expect(damages.map(({ place }) => place)).toEqual([
      'event at position 4, stream s0, version 2',
      'event at position 17, stream s1, version 6',
    ])
  })

  it('tells the extent of damage that keeps the file from being opened', async () => {
    const path = join(folder, 'unopened.db')
    copyFileSync(intact, path)
    const db = new DatabaseSync(path)
    db.exec("UPDATE topic SET config = '{'; UPDATE state SET value = '{' WHERE key = '7'")
    flip('batch', thirdBatch, 90)(db)
    db.close()
    expect(await codeOf(openEngine(path))).toBe('FILE_DAMAGED')
    const report = await verifyFile(path)
    expect(report).toMatchObject({ batchCount: 400, eventCount: 400, isCutShort: false })
    expect(new Set(report.damages.map(({ place }) => place))).toEqual(
      new Set(['topic orders, partition 0, offset 6', 'state n, key 7', 'topic orders']),
    )
  })

  it('misses a partition that is gone, as opening does', async () => {
    const path = join(folder, 'partition-gone.db')
    copyFileSync(intact, path)
    const db = new DatabaseSync(path, { enableForeignKeyConstraints: false })
    db.exec('DELETE FROM partition WHERE number = 0')
    db.close()
    await expect(openEngine(path)).rejects.toMatchObject({
      code: 'FILE_DAMAGED',
      details: { place: 'topic orders has 1 of its 2 partitions' },
    })
    const { damages } = await verifyFile(path)
    expect(damages).toContainEqual({ place: 'topic orders', problem: 'has 1 of its 2 partitions' })
  })

  it('reads on where pages of a table are overwritten', async () => {
    const path = join(folder, 'overwritten.db')
    copyFileSync(intact, path)
    const db = new DatabaseSync(path, { readOnly: true })
    const page = Number(db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'topic'").get()?.['rootpage'])
    db.close()
    const bytes = readFileSync(path)
    writeFileSync(path, bytes.fill(0x5a, (page - 1) * 8192, page * 8192))
    expect(await codeOf(openEngine(path))).toBe('FILE_DAMAGED')
    const { damages, eventCount } = await verifyFile(path)
    expect(damages.map(({ place }) => place)).toContain('the pages and indexes of SQLite')
    expect(eventCount).toBe(400)
  })

  it('refuses what is no file of ours', async () => {
    expect(await codeOf(verifyFile(join(folder, 'nowhere.db')))).toBe('FILE_UNUSABLE')
    expect(await codeOf(verifyFile(import.meta.filename))).toBe('FILE_FOREIGN')
  })

  it('lists no more than a thousand places, and says that there are more', async () => {
    const path = join(folder, 'ruined.db')
    copyFileSync(intact, path)
    const db = new DatabaseSync(path)
    db.exec("UPDATE event SET bytes = x'00'; UPDATE batch SET bytes = x'00'; DELETE FROM stream")
    db.close()
    await using engine = await openEngine(path)
    const report = await engine.verify()
    expect([report.damages.length, report.isCutShort]).toEqual([1_000, true])
  })

  it('stops when it is told to', async () => {
    await using engine = await openEngine(intact, { readOnly: true })
    const reason = new TypeError('enough')
    await expect(engine.verify({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    const controller = new AbortController()
    const onProgress = (): void => controller.abort(reason)
    await expect(engine.verify({ signal: controller.signal, onProgress })).rejects.toBe(reason)
  })

  it('ends with the engine, and takes its end for no damage', async () => {
    const path = join(folder, 'ending.db')
    copyFileSync(intact, path)
    const engine = await openEngine(path)
    const verifying = codeOf(engine.verify())
    await new Promise((resolve) => setImmediate(resolve))
    await engine.close()
    const outcome = await verifying
    const { resolved } = outcome as { resolved?: VerifyReport }
    expect(resolved === undefined ? outcome : resolved.damages).toEqual(resolved === undefined ? 'CLOSED' : [])
    expect(await codeOf(engine.verify())).toBe('CLOSED')
  })

  it('is not misled by what is written meanwhile', async () => {
    const path = join(folder, 'busy.db')
    copyFileSync(intact, path)
    await using engine = await openEngine(path)
    let isDone = false
    const verifying = engine.verify().finally(() => {
      isDone = true
    })
    for (let n = 0; !isDone; n++) {
      await commit(engine, {
        publish: [{ topic: 'orders', messages: numbered(2) }],
        append: [{ stream: 's0', events: [{ message: message('More', n), tags: ['b'] }] }],
      })
      if (n === 2) await engine.events.deleteStream('s1')
      if (n === 3) await engine.topics.delete('orders').then(() => engine.topics.create('orders'))
    }
    const report = await verifying
    expect(report.damages).toEqual([])
    expect(report.eventCount).toBe(400)
  })
})

describe('verify(), on pages whose rows are out of order', () => {
  it.each(['batch', 'event'])('comes to an end: %s', async (table) => {
    const path = join(folder, `disorder-${table}.db`)
    await using engine = await openEngine(path)
    await engine.topics.create('orders', { partitions: 1 })
    await commit(engine, {
      publish: [{ topic: 'orders', messages: numbered(1) }],
      append: [{ stream: 'stream', events: [{ message: message('Tested'), tags: [] }] }],
    })
    const db = openSnapshot(path)
    try {
      // A look behind the last row finds the first one again.
      const disordered = new Proxy(db, {
        get: (target, property) => {
          const value: unknown = Reflect.get(target, property)
          if (property !== 'prepare') return typeof value === 'function' ? (value.bind(target) as unknown) : value
          return (sql: string) => {
            const statement = target.prepare(sql)
            if (!new RegExp(`FROM ${table}\\s+WHERE [a-z_]+ (= \\? AND base_offset )?> \\?`).test(sql)) return statement
            const row = sql.includes('base_offset') ? statement.get(1, -1) : statement.get(0)
            return { get: () => row }
          }
        },
      })
      const { damages } = await new Verification(disordered).run(() => undefined, undefined)
      expect(damages.map(({ problem }) => problem)).toContain('what stands behind it is out of order')
    } finally {
      db.close()
    }
  })
})
