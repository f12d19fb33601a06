import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { TestSpecification, Vitest } from 'vitest/node'
import { LongFilesFirst, longFiles } from './test-order.ts'

const root = join(import.meta.dirname, '..')

describe('the order of the test files', () => {
  it('names files that exist', () => {
    expect(longFiles.filter((path) => !existsSync(join(root, path)))).toEqual([])
  })

  it('begins with the longest', async () => {
    const project = { name: '', config: { isolate: false, sequence: { groupOrder: 0 } } }
    const specifications = [...longFiles.toReversed(), 'src/index.test.ts'].map(
      (path) => ({ moduleId: join(root, path), project }) as TestSpecification,
    )
    const vitest = { config: { root }, cache: { getTestSpecificationResult: () => undefined } } as unknown as Vitest
    const sorted = await new LongFilesFirst(vitest).sort(specifications)
    expect(sorted.map(({ moduleId }) => moduleId.slice(root.length + 1))).toEqual([...longFiles, 'src/index.test.ts'])
  })
})
