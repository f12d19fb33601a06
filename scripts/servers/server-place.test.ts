import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { kindOf } from './kinds.ts'
import { knownPlaces, placeOf, provideFolder, resolveServersRoot } from './server-place.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-place-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

describe('the scratch folder', () => {
  it('is that of the options, else that of the environment, else one of the user', () => {
    const env = { MILLRACE_SERVERS_FOLDER: folder, MILLRACE_SERVERS_PORT_BASE: '30000' }
    const own = join(folder, 'own')
    expect(resolveServersRoot({ folder: own, portBase: 20_000 }, env)).toMatchObject({ folder: own, portBase: 20_000 })
    expect(resolveServersRoot({}, env)).toEqual({
      folder,
      installedFolder: join(folder, 'installed'),
      portBase: 30_000,
    })
    expect(resolveServersRoot({}, {})).toMatchObject({ portBase: 19_000 })
    expect(resolveServersRoot({}, {}).folder).toMatch(/millrace-servers-\d+$/)
  })

  it.each([0, 1023, 62_001, 20_000.5, Number.NaN])('does not take the port base %s', (portBase) => {
    expect(() => resolveServersRoot({ portBase }, {})).toThrow('The port base must be a whole number')
  })

  it('may be passed through by others but not listed', () => {
    const root = resolveServersRoot({ folder: join(folder, 'scratch') }, {})
    provideFolder(root)
    chmodSync(root.folder, 0o777)
    provideFolder(root)
    expect(statSync(root.folder).mode & 0o777).toBe(0o711)
  })

  it('is not used through a link, nor where a file is in the way', () => {
    mkdirSync(join(folder, 'theirs'))
    symlinkSync(join(folder, 'theirs'), join(folder, 'link'))
    expect(() => provideFolder(resolveServersRoot({ folder: join(folder, 'link') }, {}))).toThrow('does not belong')
    const blocked = join(import.meta.filename, 'scratch')
    expect(() => provideFolder(resolveServersRoot({ folder: blocked }, {}))).toThrow('cannot be made')
  })
})

describe('the place of a server', () => {
  it('gives each node a folder and ten ports', () => {
    const root = resolveServersRoot({ folder, portBase: 21_000 }, {})
    const { nodes } = placeOf(root, kindOf('kafka'), 3)
    expect(nodes.map(({ port }) => port)).toEqual([21_000, 21_010, 21_020])
    expect(nodes[2]?.dataFolder).toBe(join(folder, '21000', 'kafka-3', 'node-3', 'data'))
  })

  it('is found again, one for each count of nodes and no other server’s', () => {
    const root = resolveServersRoot({ folder, portBase: 21_000 }, {})
    expect(knownPlaces(root, kindOf('kafka'))).toEqual([])
    for (const name of ['kafka-3', 'kafka-1', 'kafka-old', 'kafkaesque-1', 'postgres-1'])
      mkdirSync(join(folder, '21000', name), { recursive: true })
    expect(knownPlaces(root, kindOf('kafka')).map(({ nodes }) => nodes.length)).toEqual([1, 3])
    expect(knownPlaces({ ...root, portBase: 22_000 }, kindOf('kafka'))).toEqual([])
  })
})
