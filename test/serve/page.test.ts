import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { createRegistry } from '../../src/index.ts'
import { contracts } from '../../src/services/icons/contracts.ts'
import { isProgramHere } from '../setup/find-program.ts'
import { until } from '../setup/until.ts'
import { logged, serve } from './served.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/http.md'), 'utf8')
const calls = [...page.matchAll(/```sh\n(curl [\s\S]*?)```/g)].map(([, line = '']) => line)
const shell = promisify(execFile)

describe.skipIf(!isProgramHere('curl'))('the page about HTTP', () => {
  it('has examples that do what it says', async () => {
    const { url, store } = await serve({}, { registry: createRegistry(contracts) })
    const said: string[] = []
    for (const line of calls) {
      if (line.includes('since=')) await until(async () => (await logged(store)).length === 3)
      // A stream has no end; curl says so with its exit code.
      const { stdout } = await shell('sh', [
        '-c',
        `${line.trim().replaceAll('localhost:8080', new URL(url).host)} || test $? = 28`,
      ])
      said.push(stdout)
    }
    expect(said).toHaveLength(4)
    for (const answer of said.slice(0, 3)) expect(JSON.parse(answer)).toMatchObject({ stored: 1 })
    expect([...(said[3] ?? '').matchAll(/^data: .*"id":"(cache-\d)"/gm)].map(([, id]) => id)).toEqual([
      'cache-1',
      'cache-2',
      'cache-3',
    ])
  })
})
