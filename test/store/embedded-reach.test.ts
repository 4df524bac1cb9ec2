import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { canReach, reachableBinaries } from '../../src/store/embedded/reach.ts'

const root = process.getuid?.() === 0
const nobody = { uid: 65_534, gid: 65_534 }

function makeBinaries(mode: number): { bin: string; elsewhere: string } {
  const outer = mkdtempSync(join(tmpdir(), 'evt-reach-'))
  onTestFinished(() => rmSync(outer, { recursive: true, force: true }))
  chmodSync(outer, 0o755)
  const bin = join(outer, 'native/bin')
  mkdirSync(bin, { recursive: true })
  for (const name of ['initdb', 'postgres']) {
    writeFileSync(join(bin, name), `#!/bin/sh\necho "${name} (PostgreSQL) 18.4"\n`, { mode: 0o755 })
  }
  chmodSync(join(outer, 'native'), mode)
  return { bin, elsewhere: join(outer, 'system') }
}

it.runIf(root)('binaries that the server cannot reach are copied where it can run them', async () => {
  const { bin, elsewhere } = makeBinaries(0o700)
  const given = { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres') }
  expect(await canReach(bin, nobody)).toBe(false)
  const reachable = await reachableBinaries(given, nobody, elsewhere)
  expect(reachable.postgres).toBe(join(elsewhere, 'postgresql-18.4/bin/postgres'))
  const { stdout } = await promisify(execFile)(reachable.postgres, [], { ...nobody, cwd: '/' })
  expect(stdout).toBe('postgres (PostgreSQL) 18.4\n')
})

it('binaries that the server can reach are used where they are', async () => {
  const { bin, elsewhere } = makeBinaries(0o755)
  const given = { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres') }
  expect(await reachableBinaries(given, root ? nobody : undefined, elsewhere)).toEqual(given)
})
