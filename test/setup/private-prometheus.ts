import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram } from './find-program.ts'
import { installPackages } from './install-packages.ts'
import { freeServerPorts } from './ports.ts'
import { runServer, withRetries } from './private-process.ts'
import { makeServerDirectory } from './server-directory.ts'

/** The program of Debian's package `prometheus`, which a machine of CI fetches; undefined elsewhere when it is missing. */
export function findPrometheus(): string | undefined {
  const known = findProgram('prometheus')
  if (known) return known
  installPackages(['prometheus'])
  return findProgram('prometheus')
}

export interface PrivatePrometheus {
  readonly url: string
  /** The answer to an instant query: its series. Throws what the server says is wrong with the query. */
  query(text: string): Promise<readonly { readonly metric: Record<string, string>; readonly value: [number, string] }[]>
  /** GET of its API. */
  get(path: string): Promise<unknown>
  stop(): Promise<void>
}

/** With a data directory of its own; `config` and `rules` are the texts of its files. */
export async function startPrivatePrometheus(
  program: string,
  { config, rules }: { readonly config: string; readonly rules: string },
): Promise<PrivatePrometheus> {
  return withRetries(async () => {
    const [port = 0] = await freeServerPorts(1)
    const directory = makeServerDirectory({})
    mkdirSync(join(directory, 'data'))
    writeFileSync(join(directory, 'prometheus.yml'), config)
    writeFileSync(join(directory, 'rules.yml'), rules)
    const url = `http://127.0.0.1:${port}`
    const server = await runServer({
      name: 'Prometheus',
      directory,
      command: program,
      args: [
        `--config.file=${join(directory, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(directory, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      ready: async () => (await fetch(`${url}/-/ready`)).ok,
    })
    const get = async (path: string) => {
      const answer = (await (await fetch(`${url}/api/v1/${path}`)).json()) as {
        status: string
        data: never
        error: string
      }
      if (answer.status !== 'success') throw new Error(`${decodeURIComponent(path)}: ${answer.error}`)
      return answer.data
    }
    return {
      url,
      get,
      query: async (text) => ((await get(`query?query=${encodeURIComponent(text)}`)) as { result: [] }).result,
      stop: () => server.stop(),
    }
  })
}
