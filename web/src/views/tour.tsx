// The bar of the guided tour.

import type { JSX } from "preact";
import type { Session } from "../session.js";
import { addressOf, STOPS } from "../tour.js";

export function TourBar({ session }: { session: Session }): JSX.Element | null {
  const { tour, hide } = session.state,
    stop = STOPS[tour - 1];
  if (hide.includes("tour")) return null;
  if (stop === undefined)
    return session.state.view !== "attention" ? null : (
      <p class="invite">
        <a class="button" href={addressOf(1)}>
          Take the tour: ten steps
        </a>
      </p>
    );
  return (
    <section id="tour" class="card" aria-label="Guided tour">
      <p class="help">
        Step {tour} of {STOPS.length}
      </p>
      <h2>{stop.heading}</h2>
      <p aria-live="polite">{stop.text}</p>
      <div class="row wrap">
        {tour > 1 ? (
          <a class="button" href={addressOf(tour - 1)}>
            Back
          </a>
        ) : null}
        {tour < STOPS.length ? (
          <a class="button next" href={addressOf(tour + 1)}>
            Next: {STOPS[tour]!.heading}
          </a>
        ) : null}
        <button type="button" class="quiet" onClick={() => session.change({ tour: 0 })}>
          {tour < STOPS.length ? "Leave the tour" : "Done"}
        </button>
      </div>
    </section>
  );
}
