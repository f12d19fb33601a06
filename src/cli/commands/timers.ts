import type { Command } from 'commander'
import { withEngine } from '../ground.ts'
import { wholeNumber } from '../option-values.ts'
import type { Invocation, Session } from '../session.ts'
import { shown, shownAge, shownJson, shownTime } from '../text.ts'

interface ListOptions {
  readonly owner?: string
  readonly limit: number
}

/** `millrace timers`: what waits for its time. */
export function timersCommand(program: Command, session: Session): void {
  const timers = program.command('timers').description('Durable timers.')
  timers
    .command('ls')
    .description('List timers, the next one first.')
    .option('--owner <owner>', 'only those of this owner')
    .option('--limit <count>', 'at most this many', wholeNumber(1), 100)
    .action(session.action(list))
    .addHelpText('after', '\nExample:\n  $ millrace timers ls --limit 10 --file shop.db')
}

async function list(invocation: Invocation<ListOptions>): Promise<void> {
  const { options, output, environment } = invocation
  const { owner, limit } = options
  // One more than is shown tells whether there are more.
  const found = await withEngine(invocation, 'read', (engine) =>
    engine.timers.list({ limit: limit + 1, ...(owner !== undefined && { owner }) }),
  )
  const timers = found.slice(0, limit)
  if (output.isJson) {
    const shape = timers.map((timer) => ({ ...timer, due: shownTime(timer.dueMs) }))
    return output.document(shape)
  }
  const nowMs = environment.clock.nowMs()
  await output.table(
    [{ title: 'DUE' }, { title: 'IN', align: 'right' }, { title: 'OWNER' }, { title: 'ID' }, { title: 'PAYLOAD' }],
    timers.map((timer) => [
      shownTime(timer.dueMs),
      timer.dueMs <= nowMs ? 'due' : shownAge((timer.dueMs - nowMs) / 1000),
      shown(timer.owner),
      shown(timer.id),
      shownJson(timer.payload),
    ]),
  )
  if (found.length > limit) output.note(`There are more than ${limit}: raise --limit to see them.`)
}
