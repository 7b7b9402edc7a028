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
