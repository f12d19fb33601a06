/** What dpkg knows of an installed package. */
export interface DebianPackage {
  readonly name: string
  /** Installed-Size, of which the control file says KiB. */
  readonly bytes: number
  /** Belongs to any Debian, however small. */
  readonly isBasic: boolean
  /** Names that it goes by, its own included. */
  readonly provides: readonly string[]
  /** Each a list of alternatives. */
  readonly depends: readonly (readonly string[])[]
}

/** The format for `dpkg-query -W -f` that {@link parsePackages} reads. */
export const packageFormat: string = [
  ...['Package', 'db:Status-Status', 'Installed-Size', 'Essential', 'Priority', 'Provides'].map(fieldText),
  `${fieldText('Pre-Depends')}, ${fieldText('Depends')}\\n`,
].join('\\t')

function fieldText(name: string): string {
  return `\${${name}}`
}

/** Reads what dpkg-query prints of all packages; those that are not installed are left out. */
export function parsePackages(text: string): DebianPackage[] {
  return text
    .split('\n')
    .map((line) => line.split('\t'))
    .filter(([, status]) => status === 'installed')
    .map(([name = '', , size, essential, priority, provides = '', depends = '']) => ({
      name,
      bytes: Number(size) * 1024,
      isBasic: essential === 'yes' || priority === 'required',
      provides: [name, ...namesIn(provides, ',')],
      depends: depends
        .split(',')
        .map((alternatives) => namesIn(alternatives, '|'))
        .filter((alternatives) => alternatives.length > 0),
    }))
}

/** Names of a field, without versions and architectures. */
function namesIn(field: string, separator: string): string[] {
  return field
    .split(separator)
    .map((part) => part.trim().replace(/[\s(:].*$/s, ''))
    .filter((name) => name !== '')
}

/** A package with all that it depends on, without what any Debian has. What is only recommended does not count. */
export function closureOf(name: string, packages: readonly DebianPackage[]): DebianPackage[] {
  const byName = new Map<string, DebianPackage>()
  for (const one of packages) for (const other of one.provides) if (!byName.has(other)) byName.set(other, one)
  for (const one of packages) byName.set(one.name, one)
  const reach = (roots: readonly DebianPackage[]): Set<DebianPackage> => {
    const found = new Set(roots)
    for (const { depends } of found) {
      for (const alternatives of depends) {
        const taken = alternatives.map((alternative) => byName.get(alternative)).find((one) => one !== undefined)
        if (taken !== undefined) found.add(taken)
      }
    }
    return found
  }
  const root = byName.get(name)
  if (root === undefined) throw new Error(`dpkg has no package ${name}.`)
  const basic = reach(packages.filter(({ isBasic }) => isBasic))
  return [...reach([root])].filter((one) => !basic.has(one))
}
