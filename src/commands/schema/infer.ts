import { writeFile } from 'node:fs/promises'
import { isAbsolute, resolve } from 'node:path'
import { EvtError, toError } from '../../core/errors.ts'
import { inferShape } from '../../generators/learn/infer-shape.ts'
import { isContractType, writeContracts } from '../../generators/learn/write-contracts.ts'
import { argument, defineCommand, flag, text, value } from '../command.ts'
import { learnFrom } from '../gen/learn.ts'
import { formatOptions } from '../line/options.ts'

export default defineCommand({
  name: 'schema infer',
  section: 'set up',
  summary: 'contracts from recorded traffic, as a TypeScript file',
  description: [
    'Reads CloudEvents as NDJSON and writes zod contracts: optional fields, choices where values are few, formats, ranges, nested objects and',
    'lists, sensitive() where names or values look like it. A start: read it before it is law. Without --write it goes to stdout.',
  ].join('\n'),
  examples: [
    {
      line: 'evt schema infer traffic.ndjson --write contracts.ts',
      says: 'of what evt tail --no-follow -o ndjson printed',
      needs: 'nothing',
      exit: 2,
    },
    { line: 'evt schema infer traffic.ndjson', says: 'to read it first', needs: 'nothing', exit: 2 },
  ],
  args: { file: argument({ says: 'NDJSON of events; - is stdin' }) },
  options: {
    service: value({ value: 'name', says: 'of the service that has them', parse: text, default: 'inferred' }),
    write: value({ value: 'file', says: 'to a file that is not there yet', parse: text }),
    force: flag({ says: 'also over one that is' }),
    ...formatOptions,
  },
  async run({ args, options: { service, write, force } }, runtime) {
    if (!/^[a-z][a-z0-9-]{0,62}$/.test(service)) {
      throw new EvtError(
        'usage',
        `cannot name a service ${JSON.stringify(service)}: lower-case letters, digits and hyphens`,
      )
    }
    const { output } = runtime
    const profile = await learnFrom(args.file, undefined, runtime)
    const code = writeContracts(profile, service)
    const types = [...profile.types]
      .filter(([type]) => isContractType(type))
      .map(([type, { count, data }]) => ({ type, events: count, shape: inferShape(data).kind }))
    if (write !== undefined) await save(resolve(runtime.cwd, write), write, { code, force })
    output.result({
      data: { types, ...(write === undefined ? { code } : { file: write }) },
      render: () => (write === undefined ? code.trimEnd() : `${write}: ${types.length} contracts`),
    })
    if (write !== undefined)
      output.notice(
        `next, in evt.config.ts: import service from '${importable(write)}', services: [service]; then evt schema list`,
      )
    return undefined
  },
})

const importable = (path: string): string => (isAbsolute(path) || path.startsWith('.') ? path : `./${path}`)

async function save(path: string, shown: string, { code, force }: { readonly code: string; readonly force: boolean }) {
  try {
    await writeFile(path, code, { flag: force ? 'w' : 'wx' })
  } catch (cause) {
    const isThere = (cause as NodeJS.ErrnoException).code === 'EEXIST'
    throw new EvtError('usage', `cannot write ${shown}: ${isThere ? 'it is there already' : toError(cause).message}`, {
      cause,
      ...(isThere ? { hint: '--force writes over it' } : {}),
    })
  }
}
