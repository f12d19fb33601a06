import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OffsetSet } from '../../engine/index.ts'
import { openForWriting } from '../connection.ts'
import { FileReads } from '../file-reads.ts'
import { ProgressTable } from '../progress-table.ts'
import { ProgressWriter } from './progress-writer.ts'

const group = fc.constantFrom('g', 'h')
const partitionId = fc.constantFrom(1, 2)
const advance = fc.record({
  kind: fc.constant('advance' as const),
  group,
  partitionId,
  from: fc.nat({ max: 30 }),
  length: fc.nat({ max: 6 }),
})
const put = fc.record({ kind: fc.constant('put' as const), group, partitionId, next: fc.nat({ max: 30 }) })
const forgetGroup = fc.record({ kind: fc.constant('delete' as const), group })
const transaction = fc.record({
  steps: fc.array(
    fc.oneof({ weight: 8, arbitrary: advance }, { weight: 1, arbitrary: put }, { weight: 1, arbitrary: forgetGroup }),
    { minLength: 1, maxLength: 6 },
  ),
  isRolledBack: fc.boolean(),
})

describe('the writer of progress', () => {
  it('keeps what was committed and nothing that was rolled back', () => {
    fc.assert(
      fc.property(fc.array(transaction, { maxLength: 20 }), (transactions) => {
        const db = openForWriting(':memory:')
        try {
          const writer = new ProgressWriter(db)
          const table = new ProgressTable(db, new FileReads(':memory:'))
          let model = new Map<string, OffsetSet>()
          for (const { steps, isRolledBack } of transactions) {
            const next = new Map([...model].map(([key, set]) => [key, new OffsetSet(set.snapshot())]))
            db.exec('BEGIN')
            for (const step of steps) {
              if (step.kind === 'delete') {
                writer.deleteGroup(step.group)
                for (const key of [...next.keys()]) if (key.startsWith(`${step.group}/`)) next.delete(key)
                continue
              }
              const key = `${step.group}/${step.partitionId}`
              if (step.kind === 'put') {
                writer.put(step.group, step.partitionId, step.next)
                next.set(key, new OffsetSet({ next: step.next, done: [] }))
              } else {
                const { from, length } = step
                writer.advance({
                  claim: { group: step.group, topic: 't', partition: 0, epoch: 1 },
                  partitionId: step.partitionId,
                  done: [from, from + length],
                })
                const set = next.get(key) ?? new OffsetSet({ next: 0, done: [] })
                set.add(from, from + length)
                next.set(key, set)
              }
            }
            writer.flush()
            db.exec(isRolledBack ? 'ROLLBACK' : 'COMMIT')
            if (isRolledBack) writer.forget()
            else model = next
            for (const name of ['g', 'h']) {
              for (const id of [1, 2]) {
                expect(table.of(name, id)).toEqual(model.get(`${name}/${id}`)?.snapshot())
              }
            }
          }
        } finally {
          db.close()
        }
      }),
      { numRuns: 200 },
    )
  })
})
