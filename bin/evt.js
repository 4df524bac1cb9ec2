#!/usr/bin/env node
// Checks the Node version before anything newer is parsed. A checkout brings its own Node (npm package `node`): use it.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const [major, minor] = process.versions.node.split('.').map(Number)
const tooOld = major < 22 || (major === 22 && minor < 22)

if (!tooOld) {
  const { enableCompileCache } = await import('node:module')
  enableCompileCache?.()
  if (!existsSync(here('../dist/main.js'))) {
    process.stderr.write('evt: this checkout is not built yet.\nhint: run `npm start`, or `npm run build`.\n')
    process.exit(2)
  }
  await import('../dist/main.js')
} else {
  const own = here('../node_modules/.bin/node')
  if (!existsSync(own)) {
    process.stderr.write(
      `evt: cannot start: Node ${process.versions.node} is too old, evt needs 22.22 or newer.\n` +
        'hint: install a current Node, or run `npm start` in a checkout (it brings its own).\n',
    )
    process.exit(2)
  }
  const child = spawn(own, [here('./evt.js'), ...process.argv.slice(2)], { stdio: 'inherit' })
  // A terminal sends Ctrl-C to both processes, `kill` to this one alone. The child takes two at once for one.
  const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of forwarded) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    process.stderr.write(`evt: cannot start ${own}: ${error.message}.\nhint: run \`npm ci\` in the checkout.\n`)
    process.exit(2)
  })
  child.on('exit', (code, signal) => {
    if (!signal) process.exit(code)
    for (const name of forwarded) process.removeAllListeners(name)
    process.kill(process.pid, signal)
  })
}
