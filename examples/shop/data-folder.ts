import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DeploymentName } from './deployments.ts'
import { RunMismatchError } from './errors.ts'

const fileName = 'deployment.json'

/**
 * Whether nothing has run in a data folder yet.
 *
 * @throws RunMismatchError `SHOP_RUN_MISMATCH`: it belongs to another deployment
 */
export function isNewFolder(folder: string, deployment: DeploymentName): boolean {
  const path = join(folder, fileName)
  if (!existsSync(path)) return !existsSync(booksPath(folder))
  const was = (JSON.parse(readFileSync(path, 'utf8')) as { readonly deployment: string }).deployment
  if (was !== deployment) throw new RunMismatchError(folder, [`--deployment was ${was} and is ${deployment}`])
  return false
}

/** Makes a data folder that of a deployment, for good: the gateway's books lie in it, whatever the orders are kept in. */
export function claimFolder(folder: string, deployment: DeploymentName): void {
  writeFileSync(join(folder, fileName), `${JSON.stringify({ deployment })}\n`)
}

/** The gateway's books. */
export function booksPath(folder: string): string {
  return join(folder, 'gateway.db')
}

/** Removes what a run left in a data folder. */
export function emptyFolder(folder: string): void {
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true })
}
