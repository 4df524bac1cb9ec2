import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { cases } from './cases.ts'
import { createNowhere, runHere } from './evt.ts'
import { pathsOf } from './json-paths.ts'
import { createStoreFor } from './stores.ts'

const schemaFile = new URL('../../fixtures/schemas/envelope.schema.json', import.meta.url)
const envelope = z.fromJSONSchema(JSON.parse(readFileSync(schemaFile, 'utf8')))

describe('--json', () => {
  it.each(Object.entries(cases))(
    'makes %s print one envelope with the fields that scripts rely on',
    async (name, one) => {
      if ('file' in one) return expect(existsSync(one.file), one.file).toBe(true)
      const { needs, words, exit = 0, status = 'pass', fields } = one
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
