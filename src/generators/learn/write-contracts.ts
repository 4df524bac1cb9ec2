import { isEventType } from '../../core/pattern.ts'
import { inferShape } from './infer-shape.ts'
import { formatSchema, quoted } from './inferred-schema.ts'
import type { Profile } from './profile.ts'

/** A module of contracts and a service of them, as a person would write it. Types whose names no contract may have are left out. */
export function writeContracts({ types }: Profile, service: string): string {
  const names = new Map<string, string>()
  for (const type of types.keys()) if (isContractType(type)) names.set(type, uniqueName(type, [...names.values()]))
  const bodies = [...names].map(([type, name]) => {
    const { data, version, count } = types.get(type) as NonNullable<ReturnType<typeof types.get>>
    const says = version > 1 ? `, the highest of version ${version}: what earlier ones lacked is optional` : ''
    const schema = formatSchema(inferShape(data), version > 1 ? 0 : 1)
    const [before, versions] =
      version > 1 ? [`const ${name}_data = ${schema}\n`, upcasts(name, latestOf(version))] : ['', `  1: ${schema},\n`]
    return `${before}/** From ${count} events${says}. */\nexport const ${name} = defineEvent(${quoted(type)}, {\n${versions}})\n`
  })
  const imports = bodies.some((body) => body.includes('sensitive('))
    ? 'defineEvent, defineService, sensitive'
    : 'defineEvent, defineService'
  return [
    '// Contracts as recorded traffic suggests them: read them before they are law.',
    `import { ${imports} } from 'evtctl'`,
    "import { z } from 'zod'\n",
    ...bodies,
    `export const contracts = [${[...names.values()].join(', ')}]\n`,
    `export default defineService({ name: ${quoted(service)}, contracts, handlers: [] })\n`,
  ].join('\n')
}

/** A contract has every version from 1, and what was recorded fits one schema, of whichever version it is. No type's name has an underscore. */
function upcasts(name: string, version: number): string {
  const later = Array.from({ length: version - 1 }, (_, i) => i + 2)
  return [
    `  1: ${name}_data,\n`,
    ...later.map((n) => `  ${n}: { schema: ${name}_data, upcast: (data) => data },\n`),
  ].join('')
}

/** What claims a version beyond any that people write is taken for this one: each has its line. */
const mostVersions = 100
export const latestOf = (recorded: number): number => Math.min(recorded, mostVersions)

/** As defineEvent asks for. */
export const isContractType = (type: string): boolean =>
  isEventType(type) && /^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)+$/.test(type)

function uniqueName(type: string, taken: readonly string[]): string {
  const name = type.replace(/[^a-z0-9]+(.)/gi, (_, letter: string) => letter.toUpperCase()).replace(/[^A-Za-z0-9]/g, '')
  const reserved = ['contracts', 'z', 'sensitive', 'defineEvent', 'defineService']
  for (let n = 1; ; n++) {
    const wanted = n === 1 ? name : `${name}${n}`
    if (!taken.includes(wanted) && !reserved.includes(wanted)) return wanted
  }
}
