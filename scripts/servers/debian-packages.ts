import { InstallFailedError, ToolMissingError } from './errors.ts'
import { tryCommand } from './run-command.ts'
import type { Report } from './server-kind.ts'

/** A program and the package of Debian that brings it. */
export interface Tool {
  readonly program: string
  readonly debianPackage: string
}

interface Cause {
  readonly pattern: RegExp
  readonly problem: string
  readonly remedy: string
}

/** What installers say, as a cause and a way out; the first match wins. */
const causes: readonly Cause[] = [
  {
    pattern: /no space left|not enough free space|don't have enough free space|ENOSPC/i,
    problem: 'the disk is full.',
    remedy: 'Free about 1 GB, then run the same command again.',
  },
  {
    pattern: /checksum validation failed|hash sum mismatch/i,
    problem: 'a download does not have the digest that its registry states.',
    remedy: 'Try again. If it happens again, do not trust the registry, or the proxy, that this machine is set to.',
  },
  {
    pattern: /PKIX|certificate|SSLHandshake/i,
    problem: 'the TLS certificate of the package registry could not be verified.',
    remedy: 'Add the certificate authority to this machine, and to the trust store of its Java, then try again.',
  },
  {
    pattern:
      /unknown host|temporary failure|could not resolve|connection (refused|timed out|reset)|connect timed out|failed to fetch|unreachable|could not connect|offline mode|could not transfer/i,
    problem: 'the package registry could not be reached.',
    remedy:
      'Check the network and the settings of apt (/etc/apt) or Maven (settings.xml), then run the same command again.',
  },
  {
    pattern: /unable to locate package|could not find artifact|no installation candidate/i,
    problem: 'the package registry lacks a package that is needed.',
    remedy: 'Check that this machine is set to complete registries of Debian and Maven Central.',
  },
]

const outputLinesMax = 20

/** The error for an installer that failed, with the cause if its words tell one. */
export function installFailure(subject: string, output: string): InstallFailedError {
  const cause = causes.find(({ pattern }) => pattern.test(output))
  const tail = output.trim().split('\n').slice(-outputLinesMax).join('\n')
  return new InstallFailedError(
    `${subject} could not be installed: ${cause?.problem ?? 'its installer ended with an error.'}`,
    cause?.remedy ?? 'What the installer said stands below.',
    tail,
  )
}

async function isThere(program: string): Promise<boolean> {
  const { exitCode } = await tryCommand('sh', ['-c', 'command -v "$0"', program])
  return exitCode === 0
}

/**
 * Installs the packages that bring the programs that this machine lacks. Needs root and apt for that: fails with
 * `SERVER_TOOL_MISSING` otherwise, and with `SERVER_INSTALL_FAILED` if apt fails.
 */
export async function provideTools(tools: readonly Tool[], report: Report): Promise<void> {
  const missing: Tool[] = []
  for (const tool of tools) if (!(await isThere(tool.program))) missing.push(tool)
  if (missing.length > 0) await installPackages(missing, report)
}

/** Like {@link provideTools}, for programs that were looked for elsewhere than on the PATH and not found. */
export async function installPackages(missing: readonly Tool[], report: Report): Promise<void> {
  const programs = missing.map(({ program }) => program)
  const packages = [...new Set(missing.map(({ debianPackage }) => debianPackage))]
  if (!(await isThere('apt-get'))) {
    const remedy = 'Install that yourself: only Debian and what is made from it is known here.'
    throw new ToolMissingError(programs, remedy)
  }
  if (process.getuid?.() !== 0) {
    const remedy = `Run \`apt-get install ${packages.join(' ')}\` as root (you are not), then the same command again.`
    throw new ToolMissingError(programs, remedy)
  }
  report(`installing ${packages.join(', ')} with apt`)
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  // Another apt may be at work on a machine that has just started.
  const settings = ['-qq', '-o', 'DPkg::Lock::Timeout=300']
  const update = await tryCommand('apt-get', [...settings, 'update'], { env })
  const install = await tryCommand('apt-get', [...settings, 'install', '-y', '--no-install-recommends', ...packages], {
    env,
  })
  if (install.exitCode !== 0) throw installFailure(packages.join(', '), `${update.output}\n${install.output}`)
}
