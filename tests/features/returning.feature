Feature: Versions that turn out to be bad
  A new version gets traffic little by little, and what is bad goes back by itself and is remembered.

  Scenario: A bad canary returns and is remembered
    Given fraud:1 serves in dev
    And fraud:2 crashes as soon as it has traffic
    And fraud:2 is declared to serve in dev as a canary
    When I apply dev
    Then it ends with exit code 8
    And dev serves fraud:1
    And fraud:2 never had more than 10 % of the traffic
    When I apply dev
    Then it ends with exit code 5
    And dev was not touched
    And dev serves fraud:1

  Scenario: A bad version is tried again when somebody asks for it
    Given fraud:1 serves in dev
    And fraud:2 crashes as soon as it has traffic
    And fraud:2 is declared to serve in dev as a canary
    And I apply dev
    When fraud:2 is mended
    And I apply dev and ask to try the endpoint again
    Then it ends with exit code 0
    And dev serves fraud:2

  Scenario: Rollback at night
    Given fraud:1 serves in dev
    And fraud:2 serves in dev
    When I roll dev back now
    Then dev serves fraud:1
    And the prepared change says fraud:1 where Git says fraud:2
    When I apply dev
    Then it ends with exit code 5
    And dev serves fraud:1
    When I take the prepared change
    Then the plan of dev is empty

  Scenario: A long soak is left to the next scheduled run
    Given fraud:1 serves in dev
    And fraud:2 is declared to serve in dev as a canary that soaks for 2 hours
    When I apply dev
    Then it ends with exit code 6
    And dev serves fraud:1 with 90 % and fraud:2 with 10 %
    When 1 hour passes and I apply dev
    Then it ends with exit code 6
    And dev was not touched
    When 2 hours pass and I apply dev
    Then it ends with exit code 6
    When 3 hours pass and I apply dev
    Then it ends with exit code 0
    And dev serves fraud:2
