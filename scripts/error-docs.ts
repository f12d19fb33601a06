import { readSource, sourcePaths } from './source-files.ts'
import { type ErrorClass, errorClassesOf } from './source-rules.ts'
import { unshipped } from './unshipped.ts'

/** Every error class under `src/`, tests excluded. */
export function errorClasses(root: string): ErrorClass[] {
  return sourcePaths(root)
    .filter((path) => /^src\/.*\.ts$/.test(path) && !unshipped.test(path))
    .sort()
    .flatMap((path) => errorClassesOf(path, readSource(root, path)))
}

/** The text of `docs/errors.md`, made from the sources. */
export function errorDocs(classes: readonly ErrorClass[]): string {
  const rows = classes
    .filter(({ code }) => code !== '')
    .toSorted((a, b) => (a.code < b.code ? -1 : 1))
    .map(
      ({ code, name, path, meaning }) =>
        `| \`${code}\` | \`${name}\` | ${path.split('/')[1]} | ${meaning.replaceAll('|', '\\|')} |`,
    )
  return `# Errors

Everything that Millrace throws on purpose extends \`MillraceError\`: it has a \`code\`, a \`problem\` (what went wrong), a
\`remedy\` (what to do) and \`details\` (the facts, for programs). A code is never reused for something else. An expected
outcome, such as an empty poll, a rejected command or a duplicate, is a return value and not in this list.

<!-- Written by \`npm run docs:errors\` from the sources; change it there. -->

| code | class | module | when |
| --- | --- | --- | --- |
${rows.join('\n')}
`
}
