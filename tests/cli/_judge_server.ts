/**
 * A real HTTP server that answers like a provider of language models. Its one argument is a table of answers by the
 * first part of the path; it prints its port, then every request as a line of JSON.
 */
interface Answer {
  status?: number;
  body?: string;
  headers?: Record<string, string>;
  delayMilliseconds?: number;
  /** Bytes of padding that are streamed before the end. */
  padding?: number;
}

const answers: Record<string, Answer> = JSON.parse(Deno.args[0]);

Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: ({ port }) => console.log(port) }, async (request) => {
  const { pathname } = new URL(request.url);
  const name = pathname.split("/")[1];
  const answer = answers[name] ?? { status: 404 };
  const headers = Object.fromEntries(request.headers);
  console.log(JSON.stringify({ name, pathname, method: request.method, headers, body: await request.text() }));
  if (answer.delayMilliseconds) await new Promise((resolve) => setTimeout(resolve, answer.delayMilliseconds));
  let left = answer.padding ?? 0;
  const stream = new ReadableStream({
    pull(controller) {
      if (left > 0) controller.enqueue(new Uint8Array(65536).fill(32));
      else {
        controller.enqueue(new TextEncoder().encode(answer.body ?? ""));
        controller.close();
      }
      left -= 65536;
    },
  });
  return new Response(stream, { status: answer.status ?? 200, headers: answer.headers });
});
