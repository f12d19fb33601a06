import { expect, it } from 'vitest'
import { type ViewBuild, ViewCopies } from '../domain/index.ts'
import { systemClock } from '../kernel/index.ts'
import { type Haste, Patience } from '../runtime/index.ts'
import { memoryEngine, Placed, placedCounts } from './app.test-support.ts'
import { app } from './index.ts'
import { ViewDirectory } from './view-directory.ts'
import { ViewWorker } from './view-worker.ts'

it('makes no large commits any more once a copy is live, however early it was swapped in', async () => {
  await using engine = await memoryEngine()
  {
    await using running = await app('shop', { views: [placedCounts(1)] }).start({ engine })
    await running.publish([Placed({ id: 'a', n: 0 })])
    await running.idle()
  }
  const declared = placedCounts(2)
  const end = new AbortController()
  const place = { engine, app: 'shop', clock: systemClock }
  const directory = new ViewDirectory(engine, 'shop')
  const copies = new ViewCopies({ ...place, view: 'counts', onChange: (entry) => directory.put('counts', entry) })
  const hastes: Haste[] = []
  const worker = new ViewWorker({
    ...place,
    view: declared,
    carriers: [],
    directory,
    copies,
    run: async (_part, haste) => {
      hastes.push(haste)
    },
    halt: async () => undefined,
    onError: (error) => expect.unreachable(String(error)),
    patience: new Patience({ clock: systemClock, app: 'shop', handler: null }),
    background: new Patience({ clock: systemClock, app: 'shop', handler: null }).begin(),
    signal: end.signal,
  })
  await worker.start()
  expect(hastes.map(({ isBulk }) => isBulk())).toEqual([true])
  // Nobody takes in its events here, so it is not seen to have caught up.
  const entry = await copies.read()
  expect(await copies.swapNow(entry, entry.register.next as ViewBuild)).toBe(true)
  await worker.settled()
  expect((await copies.status()).live.copy).toBe('v2')
  expect(hastes.map(({ isBulk }) => isBulk())).toEqual([false])
  end.abort()
})
