import { describe, expect, it } from 'vitest'
import { ClosedError } from '../kernel/index.ts'
import { errorOf, isTransient } from './faults.ts'

const place = { place: 'db:5432/shop', statementTimeoutMs: 500 }

/** An error as the server sends it and the client throws it. */
function serverError(code: string): Error {
  return Object.assign(new Error(`what the server said, ${code}`), { code, severity: 'ERROR' })
}

/** An error of the socket. */
function socketError(code: string): Error {
  return Object.assign(new Error(code), { code })
}

describe('what goes wrong on the way to a server', () => {
  it.each(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND'])('passes, if it is %s', (code) => {
    expect(isTransient(socketError(code))).toBe(true)
  })

  it.each(['08006', '40001', '40P01', '53300', '57P01', '57P02', '57P03'])('passes, if the server says %s', (code) => {
    expect(isTransient(serverError(code))).toBe(true)
  })

  it.each(['28P01', '3D000', '25006', '57014', '53100', '42601', '23505'])('stays, if the server says %s', (code) => {
    expect(isTransient(serverError(code))).toBe(false)
  })

  it('is no matter of the server, if it is a mistake or an error of ours', () => {
    expect(isTransient(new TypeError('not a function'))).toBe(false)
    expect(isTransient(new ClosedError('The engine'))).toBe(false)
  })

  it.each([
    ['28P01', 'POSTGRES_ACCESS_REFUSED'],
    ['28000', 'POSTGRES_ACCESS_REFUSED'],
    ['42501', 'POSTGRES_ACCESS_REFUSED'],
    ['3D000', 'POSTGRES_DATABASE_MISSING'],
    ['25006', 'POSTGRES_READ_ONLY'],
    ['57014', 'POSTGRES_STATEMENT_TIMED_OUT'],
    ['53100', 'POSTGRES_DISK_FULL'],
    ['53200', 'POSTGRES_STRAINED'],
    ['53400', 'POSTGRES_STRAINED'],
    ['58030', 'POSTGRES_STRAINED'],
    ['58P01', 'POSTGRES_FAILED'],
    ['42601', 'POSTGRES_FAILED'],
  ])('has a code of ours: %s is %s', (state, code) => {
    expect(errorOf(serverError(state), place)).toMatchObject({ code, cause: { code: state } })
  })

  it('tells a statement that somebody cancelled from one that took too long', () => {
    const said = (message: string): Error => errorOf(Object.assign(serverError('57014'), { message }), place)
    expect(said('canceling statement due to user request')).toMatchObject({ code: 'POSTGRES_STATEMENT_CANCELLED' })
    expect(said('canceling statement due to statement timeout')).toMatchObject({ code: 'POSTGRES_STATEMENT_TIMED_OUT' })
  })

  it.each(['53100', '53200', '57014', '58030'])('may go well later, if the server says %s', (state) => {
    expect(errorOf(serverError(state), place)).toMatchObject({ fault: 'passing' })
  })

  it.each(['28P01', '3D000', '42601', '58P01', 'XX001'])('is not said to pass, if the server says %s', (state) => {
    expect(errorOf(serverError(state), place)).not.toHaveProperty('fault')
  })
})
