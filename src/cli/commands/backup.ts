import { existsSync, statSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Command } from 'commander'
import { NotFoundError, TargetExistsError, UsageError } from '../errors.ts'
import { refuseDeployment, shownPath, withFile } from '../ground.ts'
import { ProgressBar } from '../progress-bar.ts'
import type { Invocation, Session } from '../session.ts'
import { shownBytes } from '../text.ts'

/** `millrace backup`: a copy of the file, also while an app writes it. */
export function backupCommand(program: Command, session: Session): void {
  program
    .command('backup')
    .description('Copy the file, as it is at one moment, into a new file; also while an app writes it.')
    .argument('<to>', 'path of the copy; nothing may be there yet')
    .action(session.action(backup))
    .addHelpText(
      'after',
      '\nExample:\n  $ millrace backup shop-backup.db --file shop.db && millrace verify --file shop-backup.db',
    )
}

async function backup(invocation: Invocation<object>): Promise<void> {
  const { options, output, environment, args } = invocation
  const { signal, clock, cwd } = environment
  refuseDeployment(options, 'millrace backup', 'it copies a file; servers have backups of their own.')
  if (args[0] === '') throw new UsageError('The path of the copy is empty.', 'millrace backup')
  const path = resolve(cwd, args[0] as string)
  if (existsSync(path)) throw new TargetExistsError(path)
  if (statSync(dirname(path), { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new NotFoundError('folder', dirname(path), 'Create it first, or give another path.')
  // Only a copy that is whole gets the name that was asked for.
  const partial = `${path}.partial`
  const bytes = await withFile(invocation, 'read', async (engine) => {
    await rm(partial, { force: true })
    try {
      using bar = new ProgressBar(output, clock, 'copying')
      const done = await engine.backup(partial, {
        onProgress: (progress) => {
          // What is thrown here ends the copying.
          signal.throwIfAborted()
          bar.update(progress.done, progress.total)
        },
      })
      signal.throwIfAborted()
      await syncPath(partial)
      await rename(partial, path)
      await syncPath(dirname(path))
      return done.bytes
    } finally {
      await rm(partial, { force: true })
    }
  })
  if (output.isJson) await output.document({ path, bytes })
  else output.note(`Copied ${shownBytes(bytes)} to ${shownPath(path, cwd)}.`)
}

async function syncPath(path: string): Promise<void> {
  await using handle = await open(path, 'r')
  await handle.sync()
}
