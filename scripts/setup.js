// Prepares a checkout: `npm ci` when the lock file changed, a build when sources changed. Plain JavaScript for
// Node >= 18 without dependencies, because it runs before anything is installed. Quiet and < 1 s when nothing changed;
// --build builds in any case.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { putInPlace } from './put-in-place.js'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const stampDir = join(root, 'node_modules', '.evt-setup')

const stampOf = (name) => (existsSync(join(stampDir, name)) ? readFileSync(join(stampDir, name), 'utf8') : '')
const stamp = (name, value) => {
  mkdirSync(stampDir, { recursive: true })
  writeFileSync(join(stampDir, name), value)
}

/** Path, size and modification time of each file: cheap, and changes whenever an editor or git writes one. */
function fingerprint(paths) {
  const hash = createHash('sha256')
  const visit = (path) => {
    const info = statSync(path)
    if (info.isDirectory()) for (const entry of readdirSync(path).sort()) visit(join(path, entry))
    else hash.update(`${path}\0${info.size}\0${info.mtimeMs}\n`)
  }
  for (const path of paths) if (existsSync(join(root, path))) visit(join(root, path))
  return hash.digest('hex')
}

function run(command, args, say, undo = () => {}) {
  process.stderr.write(`${say}\n`)
  try {
    execFileSync(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 64 * 1024 * 1024 })
  } catch (error) {
    undo()
    process.stderr.write(`${error.stdout ?? ''}${error.stderr ?? ''}`)
    process.stderr.write(`setup: cannot finish: ${command} ${args.join(' ')} failed.\n`)
    process.exit(2)
  }
}

const lock = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex')
if (stampOf('lock') !== lock) {
  const npm = process.env.npm_execpath
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error']
  const say = 'setup: installing dependencies (once per lock file) …'
  if (npm?.endsWith('.js')) run(process.execPath, [npm, ...args], say)
  else run(process.platform === 'win32' ? 'npm.cmd' : 'npm', args, say)
  stamp('lock', lock)
}

const sources = fingerprint(['src', 'tsconfig.json', 'tsconfig.build.json'])
const dist = join(root, 'dist')
if (process.argv.includes('--build') || stampOf('build') !== sources || !existsSync(join(dist, 'main.js'))) {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const node = join(root, 'node_modules', '.bin', 'node')
  // Beside the one that commands run from meanwhile.
  const fresh = join(root, `.dist-${process.pid}`)
  run(node, [tsc, '-p', 'tsconfig.build.json', '--outDir', fresh], 'setup: building …', () =>
    rmSync(fresh, { recursive: true, force: true }),
  )
  putInPlace(fresh, dist)
  stamp('build', sources)
}
