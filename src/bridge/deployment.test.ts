import { describe, expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import { memory, over } from './bridge.test-support.ts'
import { deployment } from './index.ts'

describe('deployment()', () => {
  it('reports all that is wrong with its parts together', async () => {
    expect(() => deployment({ topics: 1, queues: 2 } as never)).toThrow(
      /topics.*is no engine[\s\S]*store.*is no engine[\s\S]*queues/,
    )
    const one = embedded({ path: ':memory:' })
    expect(() => deployment({ topics: one, store: one })).toThrow(/start the app on that engine alone/)
  })

  it('closes the engine that it opened when the other one cannot be opened', async () => {
    let isClosed = false
    const close = (): Promise<void> => {
      isClosed = true
      return Promise.resolve()
    }
    const topics = {
      ...embedded({ path: ':memory:' }),
      open: async () => over(await memory(), { close }),
    }
    const store = { ...embedded({ path: ':memory:' }), open: () => Promise.reject(new Error('no store')) }
    await expect(deployment({ topics, store }).open()).rejects.toThrow('no store')
    expect(isClosed).toBe(true)
  })
})
