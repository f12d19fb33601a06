import { Argument, type Command } from 'commander'
import { complete } from '../completion/candidates.ts'
import { fileLookUp } from '../completion/look-up.ts'
import { completionScript, type Shell, shells } from '../completion/scripts.ts'
import type { Invocation, Session } from '../session.ts'
import { shown } from '../text.ts'

/** `millrace completion`, and the hidden command that its scripts call. */
export function completionCommand(program: Command, session: Session): void {
  program
    .command('completion')
    .description('Print the script that makes a shell complete commands, options and names.')
    .addArgument(new Argument('<shell>', 'which shell').choices(shells))
    .action(session.action(({ output, args }) => output.write(completionScript(args[0] as Shell))))
    .addHelpText(
      'after',
      `
Set it up once:
  $ echo 'source <(millrace completion bash)' >> ~/.bashrc
  $ echo 'source <(millrace completion zsh)' >> ~/.zshrc        (after compinit)
  $ millrace completion fish > ~/.config/fish/completions/millrace.fish`,
    )
  program
    .command('__complete', { hidden: true })
    .argument('[words...]')
    .action(session.action((invocation) => answer(program, invocation)))
}

async function answer(program: Command, { args, output, environment }: Invocation<object>): Promise<void> {
  const { candidates, isPath } = await complete(program, args, fileLookUp(args, environment))
  const lines = candidates.map(({ value, description }) => `${shown(value)}\t${shown(description)}`)
  await output.write(`${[...lines, isPath ? ':path' : ':none'].join('\n')}\n`)
}
