import type { Command } from 'commander'
import { type AppGuarantees, explain, type HandlerGuarantees } from '../../app/index.ts'
import { embedded } from '../../embedded/index.ts'
import { loadApp } from '../dev/app-module.ts'
import { loadEngine } from '../dev/engine-module.ts'
import { exitCodes } from '../exit-codes.ts'
import type { Output } from '../output.ts'
import type { Invocation, Session } from '../session.ts'
import { counted, shown } from '../text.ts'

/** `millrace explain`: what an app may rely on, and whether it will start. */
export function explainCommand(program: Command, session: Session): void {
  program
    .command('explain')
    .summary('Tell what each handler of an app may rely on.')
    .description(
      'Tell whether an app will start, and for each handler and view what one commit holds, how often effects become real, in which order, and what happens to failures; and why. No server is asked: an engine declares what it can do.\n\nExit code 7 if the app will not start on the deployment, with all reasons.',
    )
    .argument('<app>', "module that exports the app, as its default or as 'app'; TypeScript or JavaScript")
    .action(session.action(explainApp))
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace explain app.ts\n  $ millrace explain app.ts --deployment production.ts --json',
    )
}

async function explainApp(invocation: Invocation<object>): Promise<void> {
  const { args, options, environment, output } = invocation
  const app = await loadApp(args[0] as string, environment.cwd)
  const ground =
    options.deployment === undefined
      ? embedded({ path: 'any.db' })
      : await loadEngine(options.deployment, environment.cwd)
  const found = explain(app, ground)
  if (output.isJson) await output.document(found)
  else await tellApp(found, output)
  if (found.refusals.length > 0) invocation.exitWith(exitCodes.cannotStart)
}

async function tellApp(found: AppGuarantees, output: Output): Promise<void> {
  const count = counted(found.handlers.length, 'handler or view', 'handlers and views')
  await output.line(`${shown(found.app)} on ${shown(found.engine)}: ${count}`)
  for (const { problem, remedy } of found.refusals) {
    await output.line(`${output.styled('red', 'will not start:')} ${shown(problem)} ${shown(remedy)}`)
  }
  for (const one of found.handlers) await tell(one, output)
  await output.line('')
  await output.line(found.outside)
}

async function tell(one: HandlerGuarantees, output: Output): Promise<void> {
  const { source, refusedBy } = one
  const from = source.topics.length === 0 ? 'the event store' : source.topics.join(', ')
  const lines: readonly (readonly [word: string, text: string])[] = [
    ['reads', `${source.events.join(', ')} from ${from} (${source.engine})`],
    // What lives on something that is not there has nothing to rely on.
    ...(refusedBy === null || refusedBy === 'GUARANTEE_MISSING' ? guaranteesIn(one) : []),
    ...(one.requires === null ? [] : [['requires', words(one.requires)] as const]),
  ]
  await output.line('')
  await output.line(output.styled('bold', shown(one.name)))
  for (const [word, text] of lines) await output.line(`  ${word.padEnd(10)} ${shown(text)}`)
  if (refusedBy !== null) await output.line(`  ${output.styled('red', 'refused'.padEnd(10))} ${refusedBy}`)
  for (const warning of one.warnings) await output.line(`  ${output.styled('yellow', 'warning'.padEnd(10))} ${warning}`)
}

function guaranteesIn(one: HandlerGuarantees): readonly (readonly [word: string, text: string])[] {
  return [
    ...one.commits.map(({ engine, holds }) => ['commits', `${holds.join(', ')}, together, in ${engine}`] as const),
    ['effects', `${words(one.delivery)}: ${one.deliveryBecause}.`],
    ['publishes', `${words(one.publications)}: ${one.publicationsBecause}.`],
    ['order', one.ordering],
    ['failures', one.retry],
    ['repeats', one.deduplication],
  ]
}

function words(delivery: string): string {
  return delivery.replaceAll('-', ' ')
}
