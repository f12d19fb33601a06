import { describe, expect, it } from 'vitest'
import { closureOf, parsePackages } from './debian-closure.ts'

const line = (...fields: readonly string[]): string => fields.join('\t')
const packages = parsePackages(
  [
    line('server', 'installed', '100', 'no', 'optional', '', 'libc (>= 2), tools:any (= 1) | others'),
    line('tools', 'installed', '20', 'no', 'optional', '', ', crypto-api, missing | libssl'),
    line('libssl', 'installed', '3', 'no', 'optional', 'crypto-api (= 3)', ', libc'),
    line('libc', 'installed', '5000', 'no', 'optional', '', ', '),
    line('dpkg', 'installed', '7000', 'yes', 'required', '', 'libc (>= 2), '),
    line('others', 'config-files', '900', 'no', 'optional', '', ', '),
    line('unrelated', 'installed', '900', 'no', 'optional', '', ', server'),
    '',
  ].join('\n'),
)

describe('what a Debian package needs', () => {
  it('is all that it depends on, without what any Debian has', () => {
    expect(closureOf('server', packages).map(({ name, bytes }) => [name, bytes / 1024])).toEqual([
      ['server', 100],
      ['tools', 20],
      ['libssl', 3],
    ])
  })

  it('is not told of a package that is not there', () => {
    expect(() => closureOf('others', packages)).toThrow('dpkg has no package others.')
  })
})
