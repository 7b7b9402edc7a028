"""The server of these tests: a module of its own, for each folder of tests has a conftest of its own."""

from program import Server, admin

PASSWORD = "a long enough password"


class Tested(Server):
    """The server of these tests, and people of it."""

    # Not what its name makes the runner think.
    __test__ = False

    def person(self, name: str, role: str, scope: str = "write") -> str:
        """Makes somebody with this role, and gives a token of theirs."""
        email = f"{name}@slipway.test"
        admin(self.data_dir, "create-user", "--email", email, "--role", role, "--password-stdin", stdin=PASSWORD)
        return admin(self.data_dir, "create-token", "--email", email, "--name", "tests", "--scope", scope)
