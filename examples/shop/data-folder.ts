import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { DeploymentName } from './deployments.ts'
import { RunMismatchError } from './errors.ts'

const fileName = 'deployment.json'
/** What runs leave in a data folder: nothing else in it is touched. */
const leftByRuns = /^(deployment\.json(\.new)?|(gateway|shop)\.db(-.*)?|kafka-state-\d+)$/

/** Makes a folder with those above it, one by one: where nobody may make any, as in `/proc`, Node's recursive call never returns. */
export function makeFolder(folder: string): void {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return
  if (dirname(folder) !== folder) makeFolder(dirname(folder))
  mkdirSync(folder)
}

/**
 * Whether nothing has run in a data folder yet.
 *
 * @throws RunMismatchError `SHOP_RUN_MISMATCH`: it belongs to another deployment
 */
export function isNewFolder(folder: string, deployment: DeploymentName): boolean {
  const was = deploymentOf(folder)
  if (was === undefined) return !existsSync(booksPath(folder))
  if (was !== deployment) throw new RunMismatchError(folder, [`--deployment was ${was} and is ${deployment}`])
  return false
}

/** Makes a data folder that of a deployment, for good: the gateway's books lie in it, whatever the orders are kept in. */
export function claimFolder(folder: string, deployment: DeploymentName): void {
  if (deploymentOf(folder) === deployment) return
  const path = join(folder, fileName)
  // There as a whole or not at all, whenever the process ends.
  writeFileSync(`${path}.new`, `${JSON.stringify({ deployment })}\n`, { flush: true })
  renameSync(`${path}.new`, path)
}

/** `undefined`: it says none that can be read. */
function deploymentOf(folder: string): string | undefined {
  const path = join(folder, fileName)
  if (!existsSync(path)) return undefined
  try {
    return (JSON.parse(readFileSync(path, 'utf8')) as { readonly deployment?: string }).deployment
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** The gateway's books. */
export function booksPath(folder: string): string {
  return join(folder, 'gateway.db')
}

/** Removes what runs left in a data folder. */
export function emptyFolder(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (leftByRuns.test(name)) rmSync(join(folder, name), { recursive: true, force: true })
  }
}
