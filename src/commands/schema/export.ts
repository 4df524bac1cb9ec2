import { asyncApi } from '../../core/asyncapi.ts'
import { schemaFile } from '../../core/contract-schemas.ts'
import { contractsOfServices, createRegistry } from '../../core/registry.ts'
import { choice, defineCommand, value } from '../command.ts'
import { loadServices } from '../line/services.ts'

export default defineCommand({
  name: 'schema export',
  section: 'watch',
  summary: 'contracts of the configured services as JSON Schema or AsyncAPI 3',
  description: 'JSON on stdout. What json-schema writes, `evt schema diff` reads.',
  examples: [
    { line: 'evt schema export', says: 'every version of every type', needs: 'nothing' },
    {
      line: 'evt schema export --format asyncapi',
      says: 'for generators and portals',
      needs: 'nothing',
    },
  ],
  args: {},
  options: {
    format: value({
      value: 'format',
      says: 'json-schema or asyncapi',
      parse: choice(['json-schema', 'asyncapi']),
      default: 'json-schema',
    }),
  },
  async run({ options: { format } }, runtime) {
    const services = await loadServices(runtime)
    const registry = createRegistry(contractsOfServices(services))
    const title = services.map(({ name }) => name).join(', ') || 'evt'
    const document =
      format === 'asyncapi' ? asyncApi(registry, { title, version: '1', services }) : schemaFile(registry)
    await runtime.output.write(`${JSON.stringify(document, null, 2)}\n`)
    return undefined
  },
})
