import { connect } from 'node:net'

const timeoutMs = 3_000

/**
 * What a server of 127.0.0.1 says until it has said all that is waited for, as Latin-1 text. Rejects if it does not say that in
 * three seconds, or hangs up.
 */
export function firstAnswer(port: number, question: string | Buffer, wanted: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect({ host: '127.0.0.1', port })
    const fail = (problem: string): void => {
      socket.destroy()
      reject(new Error(`Port ${port} ${problem}; it said ${JSON.stringify(answer)}.`))
    }
    socket.setTimeout(timeoutMs, () => fail('does not answer'))
    socket.on('error', reject)
    socket.on('close', () => fail('was closed'))
    socket.on('data', (bytes) => {
      answer += bytes.toString('latin1')
      if (!wanted.test(answer)) return
      socket.destroy()
      resolve(answer)
    })
    socket.write(question)
  })
}
