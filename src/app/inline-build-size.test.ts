import { expect, it } from 'vitest'
import { z } from 'zod'
import { InlineFollower, readNote, view } from '../domain/index.ts'
import { systemClock } from '../kernel/index.ts'
import { event } from '../message/index.ts'
import { memoryEngine, withCommits } from './app.test-support.ts'

const Noted = event('Noted', { data: z.object({ text: z.string() }), key: () => 'all' })
const namespace = 'view:desk.notes:v1'

async function eventsPerCommit(textLength: number, kept: (text: string, count: number) => string): Promise<number[]> {
  await using engine = await memoryEngine()
  const text = 'x'.repeat(textLength)
  const extensions = { causationtype: 'Note' }
  for (let n = 0; n < 20; n++) {
    const events = Array.from({ length: 20 }, () => ({
      message: Noted({ text }, { source: '/desk/notes', extensions }),
    }))
    await engine.commit({ append: [{ stream: `notes-${n}`, events }] })
  }
  let keyCount = 0
  let count = 0
  const perCommit: number[] = []
  const notes = view('notes', {
    events: [Noted],
    key: () => `k${keyCount++}`,
    initial: '',
    on: { Noted: (_, { data }) => kept(data.text, ++count) },
    inline: true,
  })
  const watched = withCommits(engine, () => {
    perCommit.push(count - perCommit.reduce((sum, one) => sum + one, 0))
  })
  const place = { app: 'desk', clock: systemClock, carriers: [] }
  const follower = new InlineFollower({ engine: watched, ...place, view: notes, namespace })
  await follower.takeToEnd(new AbortController().signal)
  expect(perCommit.reduce((sum, one) => sum + one, 0)).toBe(400)
  expect((await readNote(engine, namespace)).note.position).toBe(await engine.events.lastPosition())
  return perCommit
}

it('a build takes fewer events into one commit where they are large, and more where they are small', async () => {
  const large = await eventsPerCommit(200_000, () => 'short')
  // 4 Mi characters.
  expect(Math.max(...large)).toBeLessThanOrEqual(22)
  const small = await eventsPerCommit(10, () => 'short')
  expect(small.slice(0, 2)).toEqual([64, 128])
})

it('a build takes fewer events into one commit where the values that they make are large', async () => {
  const perCommit = await eventsPerCommit(10, (_text, count) => `${count}`.padEnd(200_000))
  expect(perCommit.slice(0, 3)).toEqual([64, 32, 16])
})
