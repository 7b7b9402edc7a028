// What people do in a browser.
import { type Page, expect } from "@playwright/test";
import { PASSWORD, PEOPLE, type Role } from "./slipway";

/** Signs in as one of the people, by typing. */
export async function signIn(page: Page, role: Role): Promise<void> {
  await page.goto("/sign-in");
  await page.getByLabel("E-mail").fill(PEOPLE[role]);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(/\/w\/default/);
}

export async function signOut(page: Page): Promise<void> {
  await page.context().clearCookies();
}

/** Collects what pages complain about to the console, from now on. */
export function complaintsOf(page: Page): string[] {
  const complaints: string[] = [];
  page.on("console", (message) => {
    // That tells how slow the machine is.
    if (message.text().includes("preloaded using link preload but not used within")) return;
    if (message.type() === "error" || message.type() === "warning") complaints.push(`${page.url()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`${page.url()}: ${error.message}`));
  return complaints;
}
