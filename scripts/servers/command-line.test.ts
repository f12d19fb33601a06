import { describe, expect, it } from 'vitest'
import { errorText, parseServersCommand, statusText, usage } from './command-line.ts'
import { ServerStartError } from './errors.ts'
import { kinds, serverNames } from './kinds.ts'

describe('the arguments of npm run servers', () => {
  it('name what to do with which servers', () => {
    expect(parseServersCommand(['up', 'kafka', 'kafka', '--nodes', '3', '--json', '--port-base', '21000'])).toEqual({
      verb: 'up',
      names: ['kafka'],
      nodeCount: 3,
      portBase: 21_000,
      json: true,
      deleteData: false,
    })
    expect(parseServersCommand(['down', '--delete-data'])).toMatchObject({ names: serverNames, deleteData: true })
    expect(parseServersCommand(['up', '--help'])).toBeUndefined()
    expect(parseServersCommand(['-h'])).toBeUndefined()
  })

  it.each([
    [[], 'Nothing is not one of up, down, status.'],
    [['restart'], 'restart is not one of'],
    [['up', 'cassandra'], 'no server cassandra; there are kafka, postgres'],
    [['up', '--nodes', '3.5'], '--nodes takes a whole number, not "3.5"'],
    [['up', '--port-base', 'x'], '--port-base takes a whole number'],
    [['down', '--nodes', '3'], '--nodes is for up, not for down'],
    [['up', '--delete-data'], '--delete-data is for down, not for up'],
    [['up', '--fast'], "Unknown option '--fast'."],
  ])('%j are refused', (args, message) => {
    expect(() => parseServersCommand(args)).toThrow(message)
  })

  it('are all told by --help', () => {
    for (const word of ['up', 'down', 'status', '--nodes', '--port-base', '--delete-data', '--json', ...serverNames])
      expect(usage).toContain(word)
  })
})

describe('what a person reads', () => {
  it('tells of each node and how to connect', () => {
    const text = statusText({
      name: 'postgres',
      state: 'ready',
      nodes: [{ number: 1, state: 'running', pid: 7, logPath: 'here/server.log' }],
      connection: {
        host: 'h',
        port: 1,
        database: 'd',
        user: 'u',
        password: 'p',
        url: 'postgres://the-url',
        trustedUrl: '',
        superuserUrl: '',
        tls: { caPath: 'ca.pem' },
      },
    })
    expect(text).toMatch(/^postgres: ready\n {2}node 1 +running as process 7, log here\/server\.log\n/)
    expect(text).toContain('postgres://the-url')
    expect(statusText({ name: 'kafka', state: 'stopped', nodes: [] })).toBe('kafka: stopped\n')
  })

  it('of an error: both sentences, the cause, and the end of the log', () => {
    const cause = new Error('connect ECONNREFUSED')
    const error = new ServerStartError('kafka', 'ended while it was starting', 'x.log', 'last words', { cause })
    expect(errorText(error)).toMatch(
      /^kafka ended while.*\n {2}Look for .*x\.log.*\n {2}Because: connect.*\n\nlast words\n$/,
    )
  })
})

describe('the kinds of servers', () => {
  it('have names and ports of their own', () => {
    const used = serverNames.flatMap((name) => {
      const { portOffset, portsUsed, nodeCountMax } = kinds[name]
      expect(kinds[name].name).toBe(name)
      expect([portOffset % 100, Math.max(...portsUsed) < 10, nodeCountMax <= 10]).toEqual([0, true, true])
      return portOffset
    })
    expect(new Set(used).size).toBe(serverNames.length)
  })
})
