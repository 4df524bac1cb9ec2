import { execFileSync } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { isProgramHere } from './find-program.ts'

const policyFile = '/usr/sbin/policy-rc.d'

/**
 * Debian's packages, on a machine of CI where this is root: whoever sits at a machine decides for themselves. The services that
 * come with them are not started.
 */
export function installPackages(names: readonly string[]): void {
  if (names.length === 0 || process.env.CI !== 'true' || process.getuid?.() !== 0 || !isProgramHere('apt-get')) return
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const apt = (...args: readonly string[]) =>
    execFileSync('apt-get', ['-o', 'DPkg::Lock::Timeout=120', ...args], { stdio: ['ignore', 'ignore', 'inherit'], env })
  withoutServices(() => {
    // A new machine has no package lists, or old ones.
    apt('update')
    apt('install', '-y', '--no-install-recommends', ...names)
  })
}

/** Asks Debian's own switch, which exists for this, to let no package start its service. */
function withoutServices(install: () => void): void {
  const ours = !existsSync(policyFile)
  if (ours) writeFileSync(policyFile, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    install()
  } catch {
    // apt-get has said why; what is then still missing fails the run, with its name.
  } finally {
    if (ours) rmSync(policyFile, { force: true })
  }
}
