import pg from 'pg'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { clientSettings, newClient } from './connection-settings.ts'

const made = (connection: string | object): pg.Client =>
  newClient(() => new pg.Client(clientSettings(connection, 'it')), 'it')
const refusal = (option: string): unknown =>
  expect.objectContaining({ details: { subject: 'it', problems: [expect.objectContaining({ option })] } })

describe('a client of pg', () => {
  afterEach(() => vi.unstubAllEnvs())

  it.each(['99999', 'x', '0'])('is refused with the port %j of the environment', (port) => {
    vi.stubEnv('PGPORT', port)
    expect(() => made({ host: '127.0.0.1' })).toThrow(refusal('connection.port'))
    expect(made({ host: '127.0.0.1', port: 5432 }).port).toBe(5432)
  })

  it('is refused with a URL that nobody can read, of which no part is told', () => {
    for (const url of ['postgres://a:secret@[::bad', 'postgres://a:secret@host:99999/x']) {
      expect(() => made(url)).toThrow(refusal('connection'))
      expect(() => made(url)).not.toThrow(/secret/)
    }
    expect(() => made('postgres://a:secret@host:0/x')).toThrow(refusal('connection.port'))
  })

  it('has somebody who listens to its socket before it connects', () => {
    const { connection } = made({ host: '127.0.0.1' }) as unknown as { connection: { stream: NodeJS.EventEmitter } }
    expect(connection.stream.listenerCount('error')).toBe(1)
  })

  it('is told what a function gives for a password, unless that is no text', async () => {
    const passwordOf = (password: () => unknown): Promise<unknown> => {
      const settings = clientSettings({ password }, 'it') as { password: () => Promise<unknown> }
      return settings.password()
    }
    expect(await passwordOf(async () => 'secret')).toBe('secret')
    await expect(passwordOf(() => 42)).rejects.toThrow(refusal('connection.password'))
    await expect(passwordOf(() => Promise.reject(new Error('away')))).rejects.toThrow('away')
  })
})
