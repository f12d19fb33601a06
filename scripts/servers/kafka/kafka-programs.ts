import { createHash } from 'node:crypto'
import { existsSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { installFailure, provideTools, type Tool } from '../debian-packages.ts'
import { ToolUnfitError } from '../errors.ts'
import { partialFolderFor } from '../partial-folder.ts'
import { tryCommand } from '../run-command.ts'
import type { Report } from '../server-kind.ts'

/**
 * Not 4.3 or 4.4, which leave out the markers of transactions for partitions without a leader (KAFKA-20734): when the broker of a
 * partition is killed, what was undone may become real later. `MILLRACE_KAFKA_VERSION` names another one.
 */
export const kafkaVersion: string = process.env['MILLRACE_KAFKA_VERSION'] ?? '4.2.2'
const log4jVersion = '2.25.4'
const javaMajorMin = 17
const copyDependencies = 'org.apache.maven.plugins:maven-dependency-plugin:3.9.0:copy-dependencies'

// Maven works out and checks the run-time dependencies; Kafka itself leaves the choice of a logger to who runs it.
const project = `<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>millrace</groupId>
  <artifactId>kafka-server</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>${kafkaVersion}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>${log4jVersion}</version>
    </dependency>
  </dependencies>
</project>
`

/** Programs that are needed, and who brings them. */
const tools = (): Tool[] => [
  { program: javaCommand(), debianPackage: 'default-jre-headless' },
  { program: 'mvn', debianPackage: 'maven' },
  { program: 'openssl', debianPackage: 'openssl' },
]

/** The folder of the jars; another one for any other set of versions. */
export function kafkaFolderIn(installedFolder: string): string {
  const digest = createHash('sha256').update(project).digest('hex').slice(0, 8)
  return join(installedFolder, `kafka-${kafkaVersion}-${digest}`)
}

/** The `java` to run: that of JAVA_HOME, else the first of the PATH. */
export function javaCommand(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const own = env['JAVA_HOME'] === undefined ? undefined : join(env['JAVA_HOME'], 'bin', 'java')
  return own !== undefined && existsSync(own) ? own : 'java'
}

/** 17 of `openjdk version "17.0.15"`, 8 of `java version "1.8.0_402"`; `undefined` if it says nothing of the kind. */
export function javaMajor(versionText: string): number | undefined {
  const [, major, minor] = /version "(\d+)(?:\.(\d+))?/.exec(versionText) ?? []
  if (major === undefined) return undefined
  return major === '1' ? Number(minor) : Number(major)
}

async function requireJava(): Promise<void> {
  const command = javaCommand()
  const { output } = await tryCommand(command, ['-version'])
  const major = javaMajor(output)
  if (major !== undefined && major >= javaMajorMin) return
  const found = major === undefined ? `\`${command} -version\` tells no version` : `\`${command}\` is Java ${major}`
  throw new ToolUnfitError(
    'java',
    `Kafka ${kafkaVersion} needs Java ${javaMajorMin} or newer, and ${found}.`,
    'Let JAVA_HOME name one that will do: `apt-get install default-jre-headless` brings it on Debian 12 and newer.',
  )
}

/** Downloads Kafka and what it needs from Maven Central, once, through the settings that Maven has on this machine. */
export async function provideKafka(installedFolder: string, report: Report): Promise<void> {
  await provideTools(tools(), report)
  await requireJava()
  const folder = kafkaFolderIn(installedFolder)
  if (existsSync(folder)) return
  const partial = partialFolderFor(folder)
  writeFileSync(join(partial, 'pom.xml'), project)
  report(`downloading Kafka ${kafkaVersion} (about 50 MB) with Maven`)
  // `-C`: a download with a wrong digest is an error.
  const args = ['--batch-mode', '--quiet', '-C', copyDependencies, '-DoutputDirectory=lib', '-DincludeScope=runtime']
  const { exitCode, output } = await tryCommand('mvn', args, { cwd: partial })
  if (exitCode !== 0) throw installFailure(`Kafka ${kafkaVersion}`, output)
  renameSync(partial, folder)
}
