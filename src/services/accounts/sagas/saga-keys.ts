/** Which saga an event belongs to. */
export const byUser = ({ data }: { readonly data: { readonly user_id: string } }) => data.user_id
export const byExport = ({ data }: { readonly data: { readonly export_id: string } }) => data.export_id
export const byRequest = ({ data }: { readonly data: { readonly request_id: string } }) => data.request_id
