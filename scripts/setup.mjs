// Makes a fresh clone ready to run: installs what the lock file names and makes sure that the pinned Node starts.
// It runs before `npm start` and `npm test` on whatever Node the machine has (18 or newer), so it is plain JavaScript
// without dependencies. When nothing changed it only compares a stamp. Everything it says goes to stderr.

import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const npmMajorMin = 8
// npm's own patience of more than a minute is too long for somebody who only lacks a network.
const npmSettings = [
  '--loglevel=error',
  '--fetch-retries=2',
  '--fetch-retry-mintimeout=2000',
  '--fetch-retry-maxtimeout=8000',
]
const lockHeartbeatMs = 2_000
// A lock whose owner gave no sign of life for this long is taken over: its owner was killed.
const lockStaleMs = 15_000
const outputCharsMax = 200_000

/** A refusal that the user can act on: what happened, and what to do. */
class SetupError extends Error {
  constructor(problem, remedy, evidence = '') {
    super(problem)
    this.remedy = remedy
    this.evidence = evidence
  }
}

const say = (line) => process.stderr.write(`${line}\n`)

/** What npm or the file system said, as a sentence about the cause and one about the way out. First match wins. */
const causes = [
  {
    pattern: /ENOSPC|EDQUOT|no space left/i,
    problem: 'The disk is full.',
    remedy: 'Free about 1 GB where this folder and the npm cache are, then run the same command again.',
  },
  {
    pattern: /EROFS|read-only file system/i,
    problem: 'This folder cannot be written to: its file system is read-only.',
    remedy: 'Copy the project to a folder that you may write to, then run the same command there.',
  },
  {
    pattern: /EACCES|EPERM|permission denied|not permitted/i,
    problem: 'This folder, or the npm cache, may not be written to by you.',
    remedy:
      'Give yourself write access to both (`npm config get cache` names the cache), then run the same command again.',
  },
  {
    pattern: /\bE(401|403|407)\b|authentication required/i,
    problem: 'The package registry, or a proxy before it, refused access.',
    remedy: 'Check the registry and proxy settings that `npm config ls` shows, and your credentials for them.',
  },
  {
    pattern: /SELF_SIGNED|UNABLE_TO_(VERIFY|GET)|CERT_|ERR_TLS|certificate/i,
    problem: 'The TLS certificate of the package registry could not be verified.',
    remedy:
      'Tell npm about your certificate authority (`npm config set cafile …` or NODE_EXTRA_CA_CERTS), then try again.',
  },
  {
    pattern: /ENOTFOUND|EAI_AGAIN|ECONN(REFUSED|RESET|ABORTED)|E(NET|HOST)UNREACH|TIMED?OUT|EPIPE|ENOTCACHED|network/i,
    problem: 'The package registry could not be reached.',
    remedy:
      'Check the network and the settings `registry`, `proxy` and `https-proxy` of npm, then run the same command again.',
  },
  {
    pattern: /EINTEGRITY/,
    problem: 'A downloaded package does not have the digest that package-lock.json names.',
    remedy: 'Run `npm cache verify` and try again. If it happens again, do not trust the registry that npm is set to.',
  },
  {
    pattern: /E404|ETARGET|no matching version/i,
    problem: 'The package registry lacks a package or version that package-lock.json names.',
    remedy: 'Check that npm is set to a complete registry (`npm config get registry`).',
  },
  {
    pattern: /EUSAGE|in sync|Missing: /,
    problem: 'package-lock.json does not fit package.json.',
    remedy: 'Run `npm install`, see that `npm ci` then accepts the lock file, and commit both files.',
  },
]

export function explain(output, fallback) {
  const cause = causes.find(({ pattern }) => pattern.test(output))
  const lines = output
    .split(/\r?\n/)
    .filter((line) => /^npm (error|ERR!) +\S/.test(line))
    .filter((line) => !/^npm (error|ERR!) +(at |\w+: |[{}])|complete log|\.log$/.test(line))
  return new SetupError(
    cause?.problem ?? fallback,
    cause?.remedy ?? 'What npm said stands below.',
    lines.slice(0, 8).join('\n'),
  )
}

/** Everything that decides whether an installed tree still fits: the lock file and the machine it was installed for. */
function fingerprintOf(lockText) {
  return createHash('sha256').update(lockText).update(`\n${process.platform} ${process.arch}`).digest('hex')
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}

/** True if npm finished installing exactly what the lock file names, by whichever command. */
export function treeMatchesLock(lock, installed) {
  if (installed === undefined) return false
  return Object.entries(lock.packages ?? {}).every(([path, wanted]) => {
    if (path === '' || wanted.link) return true
    const found = installed.packages?.[path]
    // Packages for other platforms are optional, and rightly absent.
    if (found === undefined) return wanted.optional === true || wanted.devOptional === true || wanted.peer === true
    return found.version === wanted.version && found.integrity === wanted.integrity
  })
}

/** Settings of the calling npm that would make the inner one install elsewhere, or less than everything. */
function installEnvironment() {
  const unwanted =
    /^npm_config_(prefix|local_prefix|global|location|omit|only|production|dry_run|package_lock_only|json|loglevel|silent)$/i
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !unwanted.test(name)))
  delete env.NODE_ENV
  delete env.NODE_OPTIONS
  return env
}

function run(command, args, cwd, shell = false) {
  return new Promise((settle) => {
    const child = spawn(command, args, { cwd, env: installEnvironment(), stdio: ['ignore', 'pipe', 'pipe'], shell })
    let output = ''
    const keep = (chunk) => {
      output = (output + chunk).slice(-outputCharsMax)
    }
    child.stdout.setEncoding('utf8').on('data', keep)
    child.stderr.setEncoding('utf8').on('data', keep)
    child.once('error', (error) => settle({ ok: false, output: `${output}\n${error.message}` }))
    child.once('close', (code) => settle({ ok: code === 0, output }))
  })
}

/** The npm that called this script, run by the Node that runs it; `npm` of the PATH if none did. */
function npmCommand() {
  const script = process.env.npm_execpath
  const isNpm = script !== undefined && /npm(-cli)?\.c?js$/.test(script) && existsSync(script)
  if (!isNpm) return { command: 'npm', prefix: [], shell: process.platform === 'win32' }
  const runtime = process.env.npm_node_execpath
  return { command: runtime && existsSync(runtime) ? runtime : process.execPath, prefix: [script], shell: false }
}

async function npm(root, args) {
  const { command, prefix, shell } = npmCommand()
  return run(command, [...prefix, ...args], root, shell)
}

async function requireNpm(root) {
  const { ok, output } = await npm(root, ['--version'])
  const version = /^\d+\.\d+\.\d+\S*$/m.exec(output)?.[0]
  if (!ok || version === undefined) {
    throw new SetupError(
      'npm could not be started.',
      'Install Node.js with npm and see that `npm --version` works.',
      output.trim(),
    )
  }
  if (Number.parseInt(version, 10) < npmMajorMin) {
    throw new SetupError(
      `npm ${version} is too old to read package-lock.json.`,
      `Install npm ${npmMajorMin} or newer: it comes with every Node.js since 18.`,
    )
  }
}

function nodeVersionAt(path) {
  const { status, stdout } = spawnSync(path, ['--version'], { encoding: 'utf8' })
  return status === 0 ? stdout.trim().replace(/^v/, '') : undefined
}

/** Version of the first `node` of the PATH outside node_modules: the machine's own. */
function machineNodeVersion(root) {
  const inside = join(root, 'node_modules')
  const path = (process.env.PATH ?? '').split(delimiter).filter((entry) => !resolve(root, entry).startsWith(inside))
  const { status, stdout } = spawnSync('node', ['--version'], {
    encoding: 'utf8',
    env: { ...process.env, PATH: path.join(delimiter) },
  })
  return status === 0 ? stdout.trim().replace(/^v/, '') : undefined
}

/**
 * The binary is fetched by an install script of the package `node`, which many machines forbid (`ignore-scripts`), so
 * that one script is run here by name and no other package's is. Where it has no build that starts, a machine's own
 * Node will do if it is new enough.
 */
async function provideNode(root, wanted) {
  const home = join(root, 'node_modules', 'node')
  const link = join(root, 'node_modules', '.bin', 'node')
  if (nodeVersionAt(link) === wanted) return wanted
  const { ok, output } = await run(process.execPath, ['installArchSpecificPackage.js'], home)
  // Without install scripts npm found no binary to link to, so it made no link.
  rmSync(link, { force: true })
  symlinkSync(join('..', 'node', 'bin', 'node'), link)
  if (nodeVersionAt(link) === wanted) return wanted
  const own = machineNodeVersion(root)
  if (own !== undefined && Number.parseInt(own, 10) >= Number.parseInt(wanted, 10)) {
    // A link to a binary that does not start would hide the machine's own Node.
    rmSync(link, { force: true })
    rmSync(join(home, 'bin', 'node'), { force: true })
    return own
  }
  const place = `${process.platform} on ${process.arch}`
  const unavailable = ok || /E404|ETARGET|EBADPLATFORM|no matching version/i.test(output)
  if (!unavailable) throw explain(output, `Node.js ${wanted} could not be installed.`)
  throw new SetupError(
    `There is no build of Node.js ${wanted} on the package registry that runs on this machine (${place}).`,
    `Install Node.js ${Number.parseInt(wanted, 10)} or newer yourself so that \`node --version\` shows it; it is then used instead.`,
  )
}

/** Takes the lock, or waits for the process that holds it. Returns a function that gives it back. */
async function takeLock(path) {
  mkdirSync(dirname(path), { recursive: true })
  for (let waiting = false; ; waiting = true) {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx' })
      break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    if (!waiting) say('Another set-up of this folder is running; waiting for it.')
    const age = lockAgeMs(path)
    if (age > lockStaleMs) rmSync(path, { force: true })
    else await new Promise((wake) => setTimeout(wake, 200))
  }
  const heartbeat = setInterval(() => {
    const now = new Date()
    try {
      utimesSync(path, now, now)
    } catch {
      // A lock that was removed by hand must not stop a set-up that is nearly done.
    }
  }, lockHeartbeatMs)
  const release = () => {
    clearInterval(heartbeat)
    rmSync(path, { force: true })
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.once(signal, () => {
      release()
      process.exit(130)
    })
  }
  return release
}

function lockAgeMs(path) {
  try {
    return Date.now() - statSync(path).mtimeMs
  } catch {
    return 0
  }
}

function isReady(root, fingerprint) {
  const stamp = readJson(join(root, 'node_modules', '.millrace-setup.json'))
  if (stamp?.fingerprint !== fingerprint) return false
  return stamp.ownNode === true || existsSync(join(root, 'node_modules', '.bin', 'node'))
}

async function install(root, lock) {
  if (treeMatchesLock(lock, readJson(join(root, 'node_modules', '.package-lock.json')))) return
  say('Setting up: installing what package-lock.json names. This happens once, and again when it changes.')
  await requireNpm(root)
  const { ok, output } = await npm(root, [
    'ci',
    '--ignore-scripts',
    '--include=dev',
    '--no-audit',
    '--no-fund',
    ...npmSettings,
  ])
  if (!ok) throw explain(output, '`npm ci` failed.')
}

/** Makes the folder ready. Returns how long it took if there was something to do. */
export async function setUp(root) {
  const lockText = readFileSync(join(root, 'package-lock.json'), 'utf8')
  const fingerprint = fingerprintOf(lockText)
  if (isReady(root, fingerprint)) return undefined
  const startedMs = performance.now()
  const release = await takeLock(join(root, '.cache', 'setup.lock'))
  try {
    // Whoever held the lock before may have done all of it.
    if (isReady(root, fingerprint)) return undefined
    const lock = JSON.parse(lockText)
    await install(root, lock)
    const wanted = lock.packages['node_modules/node'].version
    const node = await provideNode(root, wanted)
    const stamp = { fingerprint, node, ownNode: node !== wanted }
    writeFileSync(join(root, 'node_modules', '.millrace-setup.json'), `${JSON.stringify(stamp)}\n`)
    return { node, elapsedMs: performance.now() - startedMs }
  } finally {
    release()
  }
}

function report(error) {
  const known =
    error instanceof SetupError ? error : explain(String(error?.message ?? error), `Set-up failed: ${error?.message}`)
  say(`\nMillrace could not be set up.\n  ${known.message}\n  ${known.remedy}`)
  if (known.evidence !== '') say(`\nnpm said:\n${known.evidence}`)
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
  try {
    const done = await setUp(root)
    if (done !== undefined) say(`Set up in ${(done.elapsedMs / 1000).toFixed(1)} s; running on Node.js ${done.node}.`)
  } catch (error) {
    report(error)
    process.exitCode = 1
  }
}
