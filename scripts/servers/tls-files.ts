import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { partialFolderFor } from './partial-folder.ts'
import { runCommand } from './run-command.ts'

/** Certificates for tests, all signed by one authority that exists only in this folder. */
export interface TlsFiles {
  /** Certificate of the authority: what clients have to trust. */
  readonly caPath: string
  /** Certificate and key of the servers, for `localhost`, `127.0.0.1` and `::1`. */
  readonly serverCertificatePath: string
  readonly serverKeyPath: string
  /** Key, certificate and authority in one file, as Java reads it. */
  readonly serverKeystorePath: string
  /** Certificate and key of a client, for servers that ask for one. */
  readonly clientCertificatePath: string
  readonly clientKeyPath: string
}

const validDays = '3650'

export function tlsFilesIn(installedFolder: string): TlsFiles {
  const at = (name: string): string => join(installedFolder, 'tls', name)
  return {
    caPath: at('ca.pem'),
    serverCertificatePath: at('server.pem'),
    serverKeyPath: at('server.key'),
    serverKeystorePath: at('server-keystore.pem'),
    clientCertificatePath: at('client.pem'),
    clientKeyPath: at('client.key'),
  }
}

/** Makes the certificates unless they are there. Needs `openssl`. */
export async function provideTlsFiles(installedFolder: string): Promise<void> {
  const folder = join(installedFolder, 'tls')
  if (existsSync(folder)) return
  const partial = partialFolderFor(folder)
  const openssl = (...args: string[]): Promise<string> => runCommand('openssl', args, { cwd: partial })
  const key = ['-newkey', 'rsa:2048', '-nodes', '-sha256']
  const authority = ['-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=Millrace test authority', '-days', validDays]
  const uses = ['-addext', 'keyUsage=critical,keyCertSign,cRLSign']
  await openssl('req', '-x509', ...key, ...authority, ...uses)
  const names = 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1'
  writeFileSync(join(partial, 'extensions'), `${names}\nextendedKeyUsage=serverAuth,clientAuth\n`)
  for (const [name, subject] of [
    ['server', '/CN=localhost'],
    ['client', '/CN=millrace-client'],
  ] as const) {
    await openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject)
    const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'extensions']
    await openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.pem`, ...signing, '-days', validDays)
  }
  const parts = ['server.key', 'server.pem', 'ca.pem'].map((name) => readFileSync(join(partial, name), 'utf8'))
  writeFileSync(join(partial, 'server-keystore.pem'), parts.join(''), { mode: 0o600 })
  renameSync(partial, folder)
}
