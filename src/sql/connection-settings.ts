import { type OptionProblem, OptionsInvalidError } from '../kernel/index.ts'

const portMax = 65_535

/** Settings that Millrace knows; a client of `pg` takes others, too. */
const known = ['host', 'port', 'database', 'user', 'password', 'ssl']

/**
 * What is wrong with the settings of a connection: of many that are of a wrong kind `pg` throws only when its socket
 * connects, where nobody can catch it.
 *
 * @param others Whether it may have settings that Millrace does not know.
 */
export function connectionProblems(settings: object, others: 'allowed' | 'refused'): OptionProblem[] {
  const { host, port, database, user, password, ssl } = settings as Readonly<Record<string, unknown>>
  const problems: OptionProblem[] = []
  const refuseUnless = (isRight: boolean, name: string, problem: string): void => {
    if (!isRight) problems.push({ option: `connection.${name}`, problem })
  }
  for (const name of others === 'refused' ? Object.keys(settings) : []) {
    refuseUnless(known.includes(name), name, 'is no option')
  }
  for (const [name, value] of Object.entries({ host, database, user })) {
    refuseUnless(value === undefined || typeof value === 'string', name, 'is no text')
  }
  refuseUnless(port === undefined || isPort(port), 'port', `is not a whole number from 1 to ${portMax}`)
  const isPassword = password === undefined || typeof password === 'string' || typeof password === 'function'
  refuseUnless(isPassword, 'password', 'is neither a text nor a function that gives one')
  const isSsl = ssl === undefined || typeof ssl === 'boolean' || (typeof ssl === 'object' && ssl !== null)
  refuseUnless(isSsl, 'ssl', 'is neither true, false nor an object of TLS options')
  return problems
}

/** A connection as a client of `pg` takes it; a function that gives no password is told so. */
export function clientSettings(connection: string | object, subject: string): Readonly<Record<string, unknown>> {
  if (typeof connection === 'string') return { connectionString: connection }
  const { password } = connection as { readonly password?: unknown }
  if (typeof password !== 'function') return { ...connection }
  const checked = async (...given: unknown[]): Promise<string> => {
    const text: unknown = await password(...given)
    if (typeof text === 'string') return text
    throw new OptionsInvalidError(subject, [
      { option: 'connection.password', problem: 'is a function that gives no text' },
    ])
  }
  return { ...connection, password: checked }
}

/** What is looked at of a client of `pg` before it connects. */
interface LookedAt {
  readonly port?: unknown
  readonly connection?: { readonly stream?: { on?(event: 'error', listener: () => void): unknown } }
}

/**
 * Makes a client of `pg`, which does not connect yet, and refuses what it made of a URL or of the environment where that
 * would end the program as soon as it connects.
 * @throws OptionsInvalidError
 */
export function newClient<Client extends object>(make: () => Client, subject: string): Client {
  let client: Client
  try {
    client = make()
  } catch (error) {
    // Of a URL not even a part is told: there may be a password in it.
    const isUrl = (error as { readonly code?: unknown }).code === 'ERR_INVALID_URL'
    const problem = isUrl ? 'is no URL that can be read' : `cannot be used: ${(error as Error).message}`
    throw new OptionsInvalidError(subject, [{ option: 'connection', problem }])
  }
  const { port, connection } = client as LookedAt
  if (port !== undefined && !isPort(port)) {
    const problem = `(or PGPORT in its place) is not a whole number from 1 to ${portMax}`
    throw new OptionsInvalidError(subject, [{ option: 'connection.port', problem }])
  }
  // A socket that is given up while it connects tells of it once more, when the client may not listen to it yet.
  connection?.stream?.on?.('error', () => undefined)
  return client
}

function isPort(port: unknown): boolean {
  return typeof port === 'number' && Number.isInteger(port) && port >= 1 && port <= portMax
}
