// Signs deliveries with the vendors' own libraries: one JSON request a line in, one JSON object of headers a
// line out. {"way": "standard" | "stripe" | "github", "secret": "…", "id": "…", "body": "…", "at": seconds}
import { createInterface } from "node:readline";
import { Webhooks } from "@octokit/webhooks";
import { Webhook } from "standardwebhooks";
import Stripe from "stripe";

const stripe = new Stripe("sk_test_nothing");

const ways = {
  async standard({ secret, id, body, at }) {
    const signature = new Webhook(secret).sign(id, new Date(at * 1000), body);
    return { "webhook-id": id, "webhook-timestamp": String(at), "webhook-signature": signature };
  },
  async stripe({ secret, body, at }) {
    const header = stripe.webhooks.generateTestHeaderString({ payload: body, secret, timestamp: at });
    return { "stripe-signature": header };
  },
  async github({ secret, id, body }) {
    const signature = await new Webhooks({ secret }).sign(body);
    return { "x-hub-signature-256": signature, "x-github-delivery": id };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  console.log(JSON.stringify(await ways[request.way](request)));
}
