import { readFileSync } from 'node:fs'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import type { CommandName } from '../../src/commands/registry.ts'
import { cases } from './cases.ts'
import { createNowhere, runHere } from './evt.ts'
import { createStoreFor } from './stores.ts'

const schemaFile = new URL('../../fixtures/schemas/envelope.schema.json', import.meta.url)
const envelope = z.fromJSONSchema(JSON.parse(readFileSync(schemaFile, 'utf8')))

describe('--json', () => {
  it.each(Object.keys(cases) as CommandName[])(
    'makes %s print one envelope with the fields that scripts rely on',
    async (name) => {
      const { needs, words, exit = 0, status = 'pass', fields } = cases[name]
      const nowhere = createNowhere()
      onTestFinished(nowhere.dispose)
      const database = await createStoreFor(needs)
      const ran = await runHere(words, { store: database?.url, cwd: nowhere.path })
      expect(ran, ran.stderr).toMatchObject({ exit })
      const document = JSON.parse(ran.stdout)
      expect(envelope.safeParse(document).error?.issues ?? []).toEqual([])
      expect(document).toMatchObject({ command: name, status })
      expect(pathsOf(document.data)).toEqual([...fields].sort())
    },
  )
})

/** Every path below a value; elements of arrays are taken together. */
function pathsOf(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return [...new Set(value.flatMap((item) => pathsOf(item, `${path}[]`)))].sort()
  if (typeof value !== 'object' || value === null) return []
  const deeper = Object.entries(value).flatMap(([name, inner]) => {
    const own = path === '' ? name : `${path}.${name}`
    return [own, ...pathsOf(inner, own)]
  })
  return [...new Set(deeper)].sort()
}
