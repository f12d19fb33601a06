import type { Command } from 'commander'
import { type VerifyReport, verifyFile } from '../../embedded/index.ts'
import type { CliEnvironment } from '../environment.ts'
import { exitCodes } from '../exit-codes.ts'
import { presentFile, refuseDeployment } from '../ground.ts'
import type { Output } from '../output.ts'
import { ProgressBar } from '../progress-bar.ts'
import type { Invocation, Session } from '../session.ts'
import { counted, shown } from '../text.ts'

/** `millrace verify`: checks the whole file. */
export function verifyCommand(program: Command, session: Session): void {
  program
    .command('verify')
    .description('Read every record, event and index of the file and list what is damaged. Exit code 4 if anything is.')
    .action(session.action(verify))
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace verify --file shop.db\n  $ millrace verify --file backup.db --json',
    )
}

async function verify(invocation: Invocation<object>): Promise<void> {
  const { options, output, environment } = invocation
  refuseDeployment(options, 'millrace verify', 'it reads the bytes of a file.')
  const report = await verified(presentFile(options, environment), output, environment)
  const { damages, batchCount, recordCount, eventCount, isCutShort } = report
  if (output.isJson) await output.document({ ok: damages.length === 0, ...report })
  else {
    for (const { place, problem } of damages)
      await output.line(`${shown(place)}: ${output.styled('red', shown(problem))}`)
    const read = `${counted(recordCount, 'record')} in ${counted(batchCount, 'batch', 'batches')} and ${counted(eventCount, 'event')} of streams`
    const found =
      damages.length === 0 ? 'no damage' : `${isCutShort ? 'at least ' : ''}${counted(damages.length, 'damaged place')}`
    output.note(`Read ${read}: ${found}.`)
    if (damages.length > 0)
      output.note(
        'Restore a backup, which loses what was written after it; before that, "millrace tail" and "millrace streams read" show what can still be read.',
      )
  }
  if (damages.length > 0) invocation.exitWith(exitCodes.damaged)
}

/** Without an engine: damage that keeps one from opening is just what people want to know more of. */
async function verified(path: string, output: Output, environment: CliEnvironment): Promise<VerifyReport> {
  using bar = new ProgressBar(output, environment.clock, 'verifying')
  return await verifyFile(path, {
    signal: environment.signal,
    onProgress: ({ done, total }) => bar.update(done, total),
  })
}
